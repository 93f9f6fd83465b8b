//! Machines on disk: where everything lies, versioned records, locks, atomic replacement.
//!
//! **Invariants:** every path is derived in [`layout`]; a file is seen whole or not at all; a lock
//! is held by a process, never by a file's existence, so it ends when the process does.

pub mod atomic;
mod disk_copy;
pub mod layout;
pub mod lock;
pub mod ports;
pub mod record;
mod snapshots;
mod transaction;

pub use disk_copy::DiskCopy;
pub use layout::{Layout, MachinePaths, SnapshotPaths};
pub use lock::Lock;
pub use ports::Ports;
pub use record::{EngineRecord, MachineRecord, NO_DRIVER, RecordError, SwarmRecord};
pub use snapshots::{RestoreDraft, SnapshotDraft};
pub use transaction::{Draft, NewMachine};

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a command waits for a lock that others hold for moments only.
const SHORT_LOCK: Duration = Duration::from_secs(30);

/// How long a command waits for a lock that may be held for a moment only.
const MOMENT: Duration = Duration::from_millis(100);

/// The storage root and what is in it.
#[derive(Clone, Debug)]
pub struct Store {
    layout: Layout,
}

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not {action} {path}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// Another process works on the same thing.
    #[error("{path} is locked by another command")]
    Locked { path: PathBuf },
    #[error("{path} is not usable")]
    Record { path: PathBuf, source: RecordError },
    #[error("all ports between {first} and {last} are taken")]
    NoPort { first: u16, last: u16 },
}

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Absent,
    /// A machine whose creation has not finished; if nobody holds its lock, it never will.
    Unfinished,
    Complete,
}

impl Store {
    /// Opens the store and makes its directories, private to the user.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let root = std::path::absolute(root).map_err(|source| Error::Io {
            action: "find",
            path: root.to_owned(),
            source,
        })?;
        let layout = Layout::new(root);
        for directory in layout.directories() {
            atomic::private_directory(&directory)?;
        }
        Ok(Self { layout })
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where the files of a machine are, whether or not it exists.
    pub fn paths(&self, name: &str) -> MachinePaths {
        self.layout.machine(name)
    }

    /// Whether there is a machine of this name.
    pub fn presence(&self, name: &str) -> Presence {
        let paths = self.paths(name);
        if !paths.directory().is_dir() {
            Presence::Absent
        } else if paths.unfinished_mark().exists() {
            Presence::Unfinished
        } else {
            Presence::Complete
        }
    }

    /// The names of all machines, in natural order, those unfinished too.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let directory = self.layout.machines();
        let io = |source| Error::Io { action: "list", path: directory.clone(), source };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&directory).map_err(io)? {
            let entry = entry.map_err(io)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !name.starts_with('.') && entry.path().is_dir() {
                names.push(name);
            }
        }
        names.sort_by_cached_key(|name| natural_key(name));
        Ok(names)
    }

    /// What the user asked for.
    pub fn record(&self, name: &str) -> Result<MachineRecord, Error> {
        record::read(&self.paths(name).record())
    }

    /// Puts a record in the place of the one there is.
    pub fn write_record(
        &self,
        _lock: &Lock,
        name: &str,
        record: &MachineRecord,
    ) -> Result<(), Error> {
        record::replace(&self.paths(name).record(), record)
    }

    /// The right to change one machine. Refused while another command has it; one that only looks
    /// has it for a moment, and so has a process that is just being started.
    pub fn lock(&self, name: &str) -> Result<Lock, Error> {
        Lock::exclusive(&self.layout.machine_lock(name), MOMENT)
    }

    /// The same, without waiting for a moment.
    pub fn try_lock(&self, name: &str) -> Result<Lock, Error> {
        Lock::try_exclusive(&self.layout.machine_lock(name))
    }

    /// The right to tell other programs where machines are.
    pub fn lock_clients(&self) -> Result<Lock, Error> {
        Lock::exclusive(&self.layout.clients_lock(), SHORT_LOCK)
    }

    /// The right to make or renew the CA.
    pub fn lock_authority(&self) -> Result<Lock, Error> {
        Lock::exclusive(&self.layout.authority_lock(), SHORT_LOCK)
    }
}

/// `dev2` before `dev10`, capitals like small letters.
fn natural_key(name: &str) -> Vec<(u8, String, u128)> {
    let mut key: Vec<(u8, String, u128)> = Vec::new();
    for c in name.to_lowercase().chars() {
        match (c.to_digit(10), key.last_mut()) {
            (Some(digit), Some((0, _, number))) => {
                *number = number.saturating_mul(10).saturating_add(digit.into());
            }
            (Some(digit), _) => key.push((0, String::new(), digit.into())),
            (None, Some((1, text, _))) => text.push(c),
            (None, _) => key.push((1, c.to_string(), 0)),
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::natural_key;

    #[test]
    fn names_are_ordered_as_people_count() {
        let mut names = ["dev10", "Dev2", "dev", "a", "dev2b", "10", "9"];
        names.sort_by_cached_key(|name| natural_key(name));
        assert_eq!(names, ["9", "10", "a", "dev", "Dev2", "dev2b", "dev10"]);
    }
}
