//! Files of a machine or of this computer, as `scp` and `mount` name them.

use machine_lifecycle::MachineName;

use super::external::host;
use crate::Context;
use crate::commands::names;
use crate::error::CommandError;

/// What means this computer in the place of a machine.
const HERE: &str = "localhost";

/// `[[user@]machine:]path`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location<Machine = MachineName> {
    pub(crate) user: Option<String>,
    /// `None` is this computer.
    pub(crate) machine: Option<Machine>,
    pub(crate) path: String,
}

impl Location {
    /// Of a machine that exists, or of this computer.
    pub(crate) fn parse(text: &str, context: &Context) -> Result<Self, CommandError> {
        let Location { user, machine, path } = split(text);
        let machine = machine.map(|name| names::existing(&name, context)).transpose()?;
        Ok(Self { user, machine, path })
    }

    /// As OpenSSH's programs want it.
    pub(crate) fn for_ssh(&self) -> String {
        let Some(machine) = &self.machine else { return local(&self.path) };
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        format!("{user}{}:{}", host(machine), self.path)
    }
}

/// A path of this computer that is not taken for an option nor for another host's.
pub(crate) fn local(path: &str) -> String {
    let misleading = path.starts_with('-')
        || path.split_once(':').is_some_and(|(before, _)| !before.contains('/'));
    if misleading { format!("./{path}") } else { path.to_owned() }
}

fn split(text: &str) -> Location<String> {
    let here = |path: &str| Location { user: None, machine: None, path: path.to_owned() };
    // As in scp: what has a slash before its colon is a path.
    let Some((place, path)) = text.split_once(':').filter(|(place, _)| !place.contains('/')) else {
        return here(text);
    };
    let (user, machine) = match place.rsplit_once('@') {
        Some((user, machine)) => (Some(user.to_owned()), machine),
        None => (None, place),
    };
    if machine == HERE {
        return here(path);
    }
    Location { user, machine: Some(machine.to_owned()), path: path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{local, split};

    fn parts(text: &str) -> (Option<String>, Option<String>, String) {
        let location = split(text);
        (location.user, location.machine, location.path)
    }

    #[test]
    fn places_are_told_apart_as_scp_does_it() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(parts("dev:/etc"), (None, text("dev"), "/etc".into()));
        assert_eq!(parts("docker@dev:a:b"), (text("docker"), text("dev"), "a:b".into()));
        assert_eq!(parts("dev:"), (None, text("dev"), String::new()));
        assert_eq!(parts("localhost:/x"), (None, None, "/x".into()));
        assert_eq!(parts("./a:b"), (None, None, "./a:b".into()));
        assert_eq!(parts("/tmp"), (None, None, "/tmp".into()));
    }

    #[test]
    fn local_paths_are_not_misread() {
        assert_eq!(local("a:b"), "./a:b");
        assert_eq!(local("-r"), "./-r");
        assert_eq!(local("/a:b"), "/a:b");
    }
}
