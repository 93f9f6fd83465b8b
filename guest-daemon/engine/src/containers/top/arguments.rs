//! The command line of ps: `-ef`, `aux`, `-eo pid,cmd`, `-o pid=ID -o args`.

use super::columns::title;
use super::sort::Key;
use crate::error::{Error, Kind, Result};
use crate::ports::Listed;

/// What ps was asked to show.
#[derive(Debug)]
pub(super) struct Command {
    pub columns: Vec<Column>,
    pub of: Listed,
    pub order: Vec<Key>,
    pub tree: Tree,
}

/// How it shows whose child a process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tree {
    #[default]
    None,
    /// Children come after their parents.
    Order,
    /// And branches are drawn.
    Drawn,
}

/// What stands above a column, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub title: String,
    pub key: String,
}

const PLAIN: &[&str] = &["pid", "tname", "time", "ucmd"];
const FULL: &[&str] = &["UID", "pid", "ppid", "c", "stime", "tname", "time", "cmd"];
const EXTRA_FULL: &[&str] =
    &["UID", "pid", "ppid", "c", "sz", "rss", "psr", "stime", "tname", "time", "cmd"];
const LONG: &[&str] = &[
    "f", "s", "uid", "pid", "ppid", "c", "pri", "ni", "addr", "sz", "wchan", "tname", "time",
    "ucmd",
];
const FULL_LONG: &[&str] = &[
    "f", "s", "UID", "pid", "ppid", "c", "pri", "ni", "addr", "sz", "wchan", "stime", "tname",
    "time", "cmd",
];
const JOBS: &[&str] = &["pid", "pgid", "sid", "tname", "time", "ucmd"];
const BSD: &[&str] = &["pid", "tname", "stat", "bsdtime", "args"];
const BSD_USER: &[&str] =
    &["user", "pid", "%cpu", "%mem", "vsz", "rss", "tname", "stat", "bsdstart", "bsdtime", "args"];
const BSD_LONG: &[&str] = &[
    "f", "uid", "pid", "ppid", "pri", "ni", "vsz", "rss", "wchan", "stat", "tname", "bsdtime",
    "args",
];
const BSD_JOBS: &[&str] =
    &["ppid", "pgid", "sid", "pid", "tname", "tpgid", "stat", "uid", "bsdtime", "args"];

/// What was asked for so far.
#[derive(Default)]
struct Asked {
    letters: Vec<char>,
    bsd_letters: Vec<char>,
    listed: Vec<Column>,
    /// Of `-O`: these stand among the usual ones.
    more: Option<Vec<Column>>,
    of: Listed,
    order: Vec<Key>,
    tree: Tree,
}

pub(super) fn parse(text: &str) -> Result<Command> {
    let text = if text.trim().is_empty() { "-ef" } else { text };
    let mut words = text.split_ascii_whitespace();
    let mut asked = Asked::default();
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            asked.long_option(long, &mut words)?;
        } else {
            asked.cluster(word, &mut words)?;
        }
    }
    let columns = asked.columns();
    // Its client finds the processes by this column.
    if columns.iter().any(|column| column.title == "PID") {
        Ok(Command { columns, of: asked.of, order: asked.order, tree: asked.tree })
    } else {
        Err(failed("Couldn't find PID field in ps output"))
    }
}

impl Asked {
    fn long_option<'a>(
        &mut self,
        option: &str,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Result<()> {
        let (name, value) = option.split_once('=').map_or((option, None), |(n, v)| (n, Some(v)));
        match name {
            "format" => self.list(value.or_else(|| words.next()).unwrap_or_default()),
            "sort" => self.sort(value.or_else(|| words.next()).unwrap_or_default()),
            "forest" => {
                self.tree = Tree::Drawn;
                Ok(())
            }
            // All processes of the container are shown anyway, whole lines too.
            "everyone" | "all" | "headers" => Ok(()),
            _ => Err(unsupported(&format!("--{option}"))),
        }
    }

    /// `-ef`, `aux`, `-eopid,cmd`: letters until one that takes the rest as its value.
    fn cluster<'a>(&mut self, word: &str, words: &mut impl Iterator<Item = &'a str>) -> Result<()> {
        // What everybody types for `aux`.
        let word = if word == "-aux" { "aux" } else { word };
        let (letters, bsd) = match word.strip_prefix('-') {
            Some(letters) => (letters, false),
            None => (word, true),
        };
        for (at, letter) in letters.char_indices() {
            let mut value = || {
                let rest = &letters[at + letter.len_utf8()..];
                let value = if rest.is_empty() { words.next() } else { Some(rest) };
                value.unwrap_or_default()
            };
            match (letter, bsd) {
                ('o', _) => return self.list(value()),
                ('O', _) => return self.list_more(value(), bsd),
                ('k', true) => return self.sort(value()),
                ('H', true) => {
                    self.of = Listed::Threads;
                    self.bsd_letters.push(letter);
                }
                ('H', false) => self.tree = Tree::Order,
                ('f', true) => {
                    self.tree = Tree::Drawn;
                    self.bsd_letters.push(letter);
                }
                // Which processes, and how wide a line is: neither is a question here.
                ('e' | 'A' | 'a' | 'd' | 'N' | 'w' | 'y', false) | ('w' | 'g', true) => {}
                ('f' | 'F' | 'l' | 'j' | 'Z' | 'M', false) => self.letters.push(letter),
                ('L' | 'T', false) => {
                    self.of = Listed::Threads;
                    self.letters.push(letter);
                }
                ('a' | 'x' | 'u' | 'l' | 'j', true) => self.bsd_letters.push(letter),
                _ => return Err(unsupported(word)),
            }
        }
        Ok(())
    }

    /// `pid,cmd`, `pid=ID`; a title of one's own takes the rest of the word.
    fn list(&mut self, text: &str) -> Result<()> {
        let (text, own_title) = match text.split_once('=') {
            Some((names, title)) => (names, Some(title)),
            None => (text, None),
        };
        if text.is_empty() {
            return Err(failed("ps: error: list of format specifiers must follow -o"));
        }
        let names: Vec<&str> = text.split(',').filter(|name| !name.is_empty()).collect();
        for (at, name) in names.iter().enumerate() {
            let Some(usual) = title(name) else {
                return Err(failed(&format!(
                    "ps: error: unknown user-defined format specifier \"{name}\""
                )));
            };
            let own = own_title.filter(|_| at + 1 == names.len());
            if let Some(own) = own
                && *name != "pid"
                && own.starts_with("PID")
            {
                return Err(failed(&format!("specifying \"{name}={own}\" is not allowed")));
            }
            self.listed
                .push(Column { title: own.unwrap_or(usual).to_owned(), key: (*name).to_owned() });
        }
        Ok(())
    }

    /// `-rss,+pid`
    fn sort(&mut self, text: &str) -> Result<()> {
        for word in text.split(',') {
            let key = word.trim_start_matches(['+', '-']);
            if title(key).is_none() {
                return Err(failed("ps: error: unknown sort specifier"));
            }
            // Once more it would change nothing.
            if self.order.iter().all(|known| known.key != key) {
                let descending = word.starts_with('-');
                self.order.push(Key { key: key.to_owned(), descending });
            }
        }
        Ok(())
    }

    /// The columns of `-O` come after the number of the process.
    fn list_more(&mut self, text: &str, bsd: bool) -> Result<()> {
        if !self.listed.is_empty() || self.more.is_some() {
            return Err(failed("ps: error: option -O can not follow other format options"));
        }
        self.list(text)?;
        let listed = std::mem::take(&mut self.listed);
        let command = Column {
            title: "COMMAND".to_owned(),
            key: if bsd { "comm" } else { "args" }.to_owned(),
        };
        let usual = columns(&["s", "tname", "time"]);
        self.more = Some([columns(&["pid"]), listed, usual, vec![command]].concat());
        Ok(())
    }

    fn columns(&self) -> Vec<Column> {
        let has = |letter| self.letters.contains(&letter);
        let bsd = |letter| self.bsd_letters.contains(&letter);
        if !self.listed.is_empty() {
            return self.listed.clone();
        }
        if let Some(columns) = &self.more {
            return columns.clone();
        }
        let keys = match () {
            () if has('f') && has('l') => FULL_LONG,
            () if has('F') => EXTRA_FULL,
            () if has('f') => FULL,
            () if has('l') => LONG,
            () if has('j') => JOBS,
            () if bsd('u') => BSD_USER,
            () if bsd('l') => BSD_LONG,
            () if bsd('j') => BSD_JOBS,
            () if !self.bsd_letters.is_empty() => BSD,
            () => PLAIN,
        };
        let mut keys = keys.to_vec();
        let after = |keys: &[&str], key| keys.iter().position(|it| *it == key).map(|at| at + 1);
        if has('L') {
            let at = after(&keys, "ppid").or_else(|| after(&keys, "pid")).unwrap_or_default();
            keys.insert(at, "lwp");
            if let Some(at) = after(&keys, "c").filter(|_| has('f')) {
                keys.insert(at, "nlwp");
            }
        }
        if has('T') {
            keys.insert(after(&keys, "pid").unwrap_or_default(), "spid");
        }
        if has('Z') || has('M') {
            keys.insert(0, "label");
        }
        columns(&keys)
    }
}

fn columns(keys: &[&str]) -> Vec<Column> {
    let column = |key: &&str| Column {
        title: title(key).unwrap_or_default().to_owned(),
        key: (*key).to_owned(),
    };
    keys.iter().map(column).collect()
}

fn failed(text: &str) -> Error {
    Error::new(Kind::Internal, text)
}

fn unsupported(word: &str) -> Error {
    Error::unimplemented(format!(
        "ps: the option {word} is not implemented, choose columns with -o"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(arguments: &str) -> String {
        let columns = parse(arguments).unwrap().columns;
        columns.iter().map(|column| column.title.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn arguments_choose_columns_as_ps_does() {
        for (arguments, expected) in [
            ("", "UID PID PPID C STIME TTY TIME CMD"),
            ("-ef", "UID PID PPID C STIME TTY TIME CMD"),
            ("-e", "PID TTY TIME CMD"),
            ("aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
            ("-aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
            ("ax", "PID TTY STAT TIME COMMAND"),
            ("-o pid,cmd", "PID CMD"),
            ("-eo pid,ppid,comm", "PID PPID COMMAND"),
            ("-opid -o user", "PID USER"),
            ("-o pid,args=WHAT IT IS", ""),
            ("--format pid,rss", "PID RSS"),
            ("-L", "PID LWP TTY TIME CMD"),
            ("-eLf", "UID PID PPID LWP C NLWP STIME TTY TIME CMD"),
            ("-eT", "PID SPID TTY TIME CMD"),
            ("-O user", "PID USER S TTY TIME COMMAND"),
            ("-Z", "LABEL PID TTY TIME CMD"),
            ("-ef --sort -rss --forest", "UID PID PPID C STIME TTY TIME CMD"),
            ("-o pid=PIDS,cmd", ""),
        ] {
            if expected.is_empty() {
                assert!(parse(arguments).is_err(), "{arguments}");
            } else {
                assert_eq!(titles(arguments), expected, "{arguments}");
            }
        }
    }

    #[test]
    fn the_order_and_the_tree_are_chosen_as_ps_does() {
        let key = |key: &str, descending| Key { key: key.to_owned(), descending };
        for arguments in ["aux --sort=-rss,pid", "aux --sort -rss,+pid", "auxk-rss,pid"] {
            let order = parse(arguments).unwrap().order;
            assert_eq!(order, [key("rss", true), key("pid", false)], "{arguments}");
        }
        for (arguments, tree) in [
            ("-ef", Tree::None),
            ("-eH", Tree::Order),
            ("axf", Tree::Drawn),
            ("-ef --forest", Tree::Drawn),
        ] {
            assert_eq!(parse(arguments).unwrap().tree, tree, "{arguments}");
        }
        assert_eq!(parse("axH").unwrap().of, Listed::Threads);
        assert_eq!(parse("-ef").unwrap().of, Listed::Processes);
    }

    #[test]
    fn what_cannot_be_shown_is_refused_in_pss_words() {
        for (arguments, text) in [
            ("-o cmd", "Couldn't find PID field in ps output"),
            ("-o pid,nonsense", "unknown user-defined format specifier \"nonsense\""),
            ("-o pid -o uid=PID", "specifying \"uid=PID\" is not allowed"),
            ("-ef --sort=odd", "ps: error: unknown sort specifier"),
            ("-o pid -O user", "option -O can not follow other format options"),
            ("-e --cumulative", "ps: the option --cumulative is not implemented"),
        ] {
            let error = parse(arguments).unwrap_err().to_string();
            assert!(error.contains(text), "{arguments}: {error}");
        }
    }
}
