//! Which of a container's processes ps shows.

use super::arguments::failed;
use crate::error::Result;
use crate::ports::ProcessEntry;

/// What a process must be to be shown: any of the criteria, if there are some.
#[derive(Debug, Default)]
pub(super) struct Selection {
    criteria: Vec<Criterion>,
    /// All are wanted, whatever the criteria say.
    pub everything: bool,
    pub negated: bool,
    /// Of these only those that run at this moment.
    pub running: bool,
}

/// What a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Pids,
    Parents,
    Sessions,
    /// Numbers are sessions, names are groups.
    SessionsOrGroups,
    Users,
    RealUsers,
    Groups,
    RealGroups,
    Names,
    Terminals,
}

#[derive(Debug, PartialEq, Eq)]
enum Criterion {
    Pid(i32),
    Parent(i32),
    Session(i32),
    User(u32),
    RealUser(u32),
    Group(u32),
    RealGroup(u32),
    Name(String),
    Terminal(String),
}

impl Selection {
    /// `1,2`, `root`, `sh,sleep`.
    pub(super) fn add(&mut self, of: List, text: &str) -> Result<()> {
        let parts: Vec<&str> = text.split(',').filter(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            return Err(failed(&format!("ps: error: {}", missing(of))));
        }
        for part in parts {
            self.criteria.push(criterion(of, part)?);
        }
        Ok(())
    }

    pub(super) fn has(&self, entry: &ProcessEntry) -> bool {
        let all = self.everything || self.criteria.is_empty();
        let chosen = all || self.criteria.iter().any(|criterion| criterion.fits(entry));
        // Nothing but a negation is one of nothing.
        let negated = self.negated && (self.everything || !self.criteria.is_empty());
        chosen != negated && (!self.running || matches!(entry.state, 'R' | 'D'))
    }
}

impl Criterion {
    fn fits(&self, entry: &ProcessEntry) -> bool {
        match self {
            Self::Pid(pid) => entry.pid == *pid,
            Self::Parent(pid) => entry.parent == *pid,
            Self::Session(pid) => entry.session == *pid,
            Self::User(id) => entry.effective_uid == *id,
            Self::RealUser(id) => entry.uid == *id,
            Self::Group(id) => entry.effective_gid == *id,
            Self::RealGroup(id) => entry.gid == *id,
            Self::Name(name) => entry.name == *name,
            Self::Terminal(name) => entry.terminal == *name,
        }
    }
}

fn criterion(of: List, part: &str) -> Result<Criterion> {
    let number = || {
        let list = if of == List::Sessions { "session" } else { "process" };
        let text = format!("ps: error: {list} ID list syntax error");
        part.parse::<i32>().ok().filter(|number| *number > 0).ok_or_else(|| failed(&text))
    };
    // The machine's root is the only account that has a name.
    let account = |what: &str| match part {
        "root" => Ok(0),
        _ => part
            .parse::<u32>()
            .map_err(|_| failed(&format!("ps: error: {what} name does not exist"))),
    };
    Ok(match of {
        List::Pids => Criterion::Pid(number()?),
        List::Parents => Criterion::Parent(number()?),
        List::Sessions => Criterion::Session(number()?),
        List::SessionsOrGroups => match part.parse() {
            Ok(session) => Criterion::Session(session),
            Err(_) => Criterion::Group(account("group")?),
        },
        List::Users => Criterion::User(account("user")?),
        List::RealUsers => Criterion::RealUser(account("user")?),
        List::Groups => Criterion::Group(account("group")?),
        List::RealGroups => Criterion::RealGroup(account("group")?),
        List::Names => Criterion::Name(part.to_owned()),
        List::Terminals => Criterion::Terminal(match part {
            "-" | "?" => "?".to_owned(),
            name => name.strip_prefix("/dev/").unwrap_or(name).to_owned(),
        }),
    })
}

fn missing(of: List) -> &'static str {
    match of {
        List::Pids | List::Parents => "list of process IDs must follow -p",
        List::Sessions => "list of session IDs must follow -s",
        List::SessionsOrGroups => "list of session leaders OR effective group IDs was invalid",
        List::Users => "list of users must follow -u",
        List::RealUsers => "list of real users must follow -U",
        List::Groups => "list of effective groups must follow --group",
        List::RealGroups => "list of real groups must follow -G",
        List::Names => "list of command names must follow -C",
        List::Terminals => "list of terminals (pty, tty) must follow -t",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<ProcessEntry> {
        let entry = |pid, parent, uid, name: &str, terminal: &str, state| ProcessEntry {
            pid,
            parent,
            session: 5,
            uid,
            effective_uid: uid,
            gid: uid,
            effective_gid: uid,
            name: name.to_owned(),
            terminal: terminal.to_owned(),
            state,
            ..ProcessEntry::default()
        };
        vec![
            entry(5, 1, 0, "sh", "pts/0", 'S'),
            entry(6, 5, 1000, "sleep", "?", 'S'),
            entry(7, 5, 1000, "cc", "pts/0", 'R'),
        ]
    }

    fn pids(selection: &Selection) -> Vec<i32> {
        let table = table();
        table.iter().filter(|it| selection.has(it)).map(|it| it.pid).collect()
    }

    #[test]
    fn any_of_the_criteria_is_enough() {
        for (lists, expected) in [
            (&[][..], &[5, 6, 7][..]),
            (&[(List::Pids, "6,5")], &[5, 6]),
            (&[(List::Pids, "5"), (List::Names, "cc")], &[5, 7]),
            (&[(List::Parents, "5")], &[6, 7]),
            (&[(List::SessionsOrGroups, "5")], &[5, 6, 7]),
            (&[(List::SessionsOrGroups, "root")], &[5]),
            (&[(List::Users, "1000")], &[6, 7]),
            (&[(List::RealUsers, "root")], &[5]),
            (&[(List::Terminals, "-")], &[6]),
            (&[(List::Terminals, "/dev/pts/0")], &[5, 7]),
            (&[(List::Pids, "99")], &[]),
        ] {
            let mut selection = Selection::default();
            for (of, text) in lists {
                selection.add(*of, text).unwrap();
            }
            assert_eq!(pids(&selection), expected, "{lists:?}");
        }
    }

    #[test]
    fn a_choice_can_be_turned_around_and_narrowed() {
        let mut selection = Selection { negated: true, ..Selection::default() };
        assert_eq!(pids(&selection), [5, 6, 7]);
        selection.add(List::Users, "1000").unwrap();
        assert_eq!(pids(&selection), [5]);
        selection.everything = true;
        assert_eq!(pids(&selection), [0; 0]);
        selection.negated = false;
        selection.running = true;
        assert_eq!(pids(&selection), [7]);
    }

    #[test]
    fn what_names_nobody_is_refused_in_pss_words() {
        for (of, text, expected) in [
            (List::Pids, "x", "ps: error: process ID list syntax error"),
            (List::Pids, "", "ps: error: list of process IDs must follow -p"),
            (List::Users, "nobody-here", "ps: error: user name does not exist"),
            (List::RealGroups, "nobody-here", "ps: error: group name does not exist"),
        ] {
            let error = Selection::default().add(of, text).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
