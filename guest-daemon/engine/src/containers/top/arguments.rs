//! The command line of ps: `-ef`, `aux`, `-eo pid,cmd`, `-o pid=ID -o args`.

use super::columns::{is_long_command, numeric, title};
use super::formats::{self, Letters};
use super::selection::{List, Selection};
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
    pub selection: Selection,
    /// Below each process its threads.
    pub with_threads: bool,
    pub cumulative: bool,
    /// After each command its variables.
    pub environment: bool,
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

/// What was asked for so far.
#[derive(Default)]
struct Asked {
    letters: Vec<char>,
    bsd_letters: Vec<char>,
    has_bsd: bool,
    /// The format of `--context`.
    context: bool,
    listed: Vec<Column>,
    /// Of `-O`: these stand among the usual ones.
    more: Option<Vec<Column>>,
    of: Listed,
    order: Vec<Key>,
    tree: Tree,
    selection: Selection,
    with_threads: bool,
    cumulative: bool,
    environment: bool,
    /// Numbers instead of the names of users.
    numeric: bool,
    headless: bool,
}

pub(super) fn parse(text: &str) -> Result<Command> {
    let text = if text.trim().is_empty() { "-ef" } else { text };
    if matches!(text.trim(), "L" | "V" | "-V") {
        // It tells of ps itself.
        return Err(failed(NO_PID));
    }
    let mut words = text.split_ascii_whitespace();
    let mut asked = Asked::default();
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            asked.long_option(long, &mut words)?;
        } else {
            asked.cluster(word, &mut words)?;
        }
    }
    asked.check_threads()?;
    let mut columns = asked.columns()?;
    if asked.numeric {
        columns.iter_mut().for_each(|column| column.key = numeric(&column.key).to_owned());
    }
    if asked.bsd_letters.contains(&'c') {
        let long = columns.iter_mut().filter(|column| is_long_command(&column.key));
        long.for_each(|column| column.key = "comm".to_owned());
    }
    // Its client finds the processes by this column.
    if asked.headless || columns.iter().all(|column| column.title != "PID") {
        return Err(failed(NO_PID));
    }
    Ok(Command {
        columns,
        of: if asked.with_threads { Listed::Processes } else { asked.of },
        order: asked.order,
        tree: asked.tree,
        selection: asked.selection,
        with_threads: asked.with_threads,
        cumulative: asked.cumulative,
        environment: asked.environment,
    })
}

const NO_PID: &str = "Couldn't find PID field in ps output";

impl Asked {
    fn long_option<'a>(
        &mut self,
        option: &str,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Result<()> {
        let (name, value) = option.split_once('=').map_or((option, None), |(n, v)| (n, Some(v)));
        let mut value = || value.or_else(|| words.next()).unwrap_or_default();
        match name {
            "format" => return self.list(value()),
            "sort" => return self.sort(value()),
            "forest" => self.tree = Tree::Drawn,
            "cumulative" => self.cumulative = true,
            "context" => self.context = true,
            "deselect" => self.selection.negated = true,
            // Its client looks for the title of a column.
            "no-heading" | "no-headings" | "no-header" | "no-headers" | "noheader"
            | "noheaders" | "noheading" | "noheadings" => self.headless = true,
            // Lines are whole, as many as there are.
            "cols" | "columns" | "width" | "rows" | "lines" => {
                if value().parse::<u16>().is_err() {
                    return Err(failed(&format!("ps: error: a number must follow --{name}")));
                }
            }
            // All processes of the container are shown anyway.
            "everyone" | "all" | "headers" => {}
            _ => {
                let list = list_of(name).ok_or_else(|| unsupported(&format!("--{option}")))?;
                return self.selection.add(list, value());
            }
        }
        Ok(())
    }

    /// `-ef`, `aux`, `-eopid,cmd`: letters until one that takes the rest as its value.
    fn cluster<'a>(&mut self, word: &str, words: &mut impl Iterator<Item = &'a str>) -> Result<()> {
        // What everybody types for `aux`.
        let word = if word == "-aux" { "aux" } else { word };
        let (letters, bsd) = match word.strip_prefix('-') {
            Some(letters) => (letters, false),
            None => (word, true),
        };
        self.has_bsd |= bsd;
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
                ('p' | 'q', _) => return self.selection.add(List::Pids, value()),
                ('t', _) => return self.selection.add(List::Terminals, value()),
                ('u', false) | ('U', true) => return self.selection.add(List::Users, value()),
                ('U', false) => return self.selection.add(List::RealUsers, value()),
                ('G', false) => return self.selection.add(List::RealGroups, value()),
                ('g', false) => return self.selection.add(List::SessionsOrGroups, value()),
                ('s', false) => return self.selection.add(List::Sessions, value()),
                ('C', false) => return self.selection.add(List::Names, value()),
                ('e' | 'A', false) => self.selection.everything = true,
                ('N', false) => self.selection.negated = true,
                ('r', true) => self.selection.running = true,
                ('m', false) => self.with_threads = true,
                ('m' | 'M', true) => {
                    self.with_threads = true;
                    self.bsd_letters.push(letter);
                }
                ('n', true) => {
                    self.numeric = true;
                    self.bsd_letters.push(letter);
                }
                ('S', true) => {
                    self.cumulative = true;
                    self.bsd_letters.push(letter);
                }
                ('h', true) => self.headless = true,
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
                ('a' | 'd' | 'w', false) | ('w' | 'g', true) => {}
                ('f' | 'F' | 'l' | 'j' | 'Z' | 'M' | 'c' | 'y' | 'P', false) => {
                    self.letters.push(letter);
                }
                ('L' | 'T', false) => {
                    self.of = Listed::Threads;
                    self.letters.push(letter);
                }
                ('a' | 'x' | 'u' | 'l' | 'j' | 'v' | 's' | 'X' | 'c' | 'Z', true) => {
                    self.bsd_letters.push(letter);
                }
                ('e', true) => self.environment = true,
                // The terminal of ps itself, and it has none.
                ('T', true) => self.selection.add(List::Terminals, "?")?,
                ('L' | 'V', true) | ('V', false) => {
                    return Err(failed(&format!("ps: error: the option is exclusive: {letter}")));
                }
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

    /// Lines of threads can be had in one way at a time, and not in a tree.
    fn check_threads(&self) -> Result<()> {
        let (own, bsd) = (&self.letters, &self.bsd_letters);
        let each = own.contains(&'L') || own.contains(&'T') || bsd.contains(&'H');
        let conflict = match () {
            () if self.tree != Tree::None && each => "thread display conflicts with forest display",
            () if bsd.contains(&'H') && self.with_threads => {
                "thread flags conflict; can't use H with m or -m"
            }
            () if own.contains(&'L') && own.contains(&'T') => {
                "thread flags conflict; can't use both -L and -T"
            }
            () => return Ok(()),
        };
        Err(failed(&format!("ps: error: {conflict}")))
    }

    fn columns(&self) -> Result<Vec<Column>> {
        let has = |letter| self.letters.contains(&letter);
        let letters = Letters {
            own: &self.letters,
            bsd: &self.bsd_letters,
            has_bsd: self.has_bsd,
            context: self.context,
        };
        let chosen = usize::from(!self.listed.is_empty() || self.more.is_some());
        if letters.exclusive() + chosen > 1 {
            return Err(failed("ps: error: conflicting format options"));
        }
        if has('y') && !has('l') {
            return Err(failed("ps: error: modifier -y without format -l makes no sense"));
        }
        if !self.listed.is_empty() {
            return Ok(self.listed.clone());
        }
        if let Some(columns) = &self.more {
            return Ok(columns.clone());
        }
        Ok(columns(&formats::usual(letters)))
    }
}

/// What the value of a long option is a list of.
fn list_of(option: &str) -> Option<List> {
    Some(match option {
        "pid" | "quick-pid" => List::Pids,
        "ppid" => List::Parents,
        "sid" => List::Sessions,
        "user" => List::Users,
        "User" => List::RealUsers,
        "group" => List::Groups,
        "Group" => List::RealGroups,
        "tty" => List::Terminals,
        _ => return None,
    })
}

fn columns(keys: &[&str]) -> Vec<Column> {
    let column = |key: &&str| Column {
        title: title(key).unwrap_or_default().to_owned(),
        key: (*key).to_owned(),
    };
    keys.iter().map(column).collect()
}

pub(super) fn failed(text: &str) -> Error {
    Error::new(Kind::Internal, text)
}

fn unsupported(word: &str) -> Error {
    Error::unimplemented(format!(
        "ps: the option {word} is not implemented, choose columns with -o"
    ))
}

#[cfg(test)]
mod tests;
