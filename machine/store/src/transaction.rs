//! Creating and removing a machine, so that a crash at any moment leaves a name that can be used.
//!
//! ```text
//!              begin            commit             finish
//!   (nothing) ──────► .NAME.creating ──► NAME + mark ──────► NAME
//!                          │                 │                │
//!                          └── next begin ───┘    remove ──► .NAME.removing ──► (nothing)
//! ```
//!
//! All of it happens under the machine's lock, so whoever holds it knows that what is not finished
//! was left behind.

use std::io;
use std::path::Path;

use crate::atomic::{self, Access};
use crate::lock::Lock;
use crate::{Error, MachinePaths, MachineRecord, Ports, SHORT_LOCK, Store, ports, record};

/// A machine that is put together where nobody sees it. Dropped, it is gone.
#[derive(Debug)]
pub struct Draft {
    store: Store,
    name: String,
    paths: MachinePaths,
    committed: bool,
}

/// A machine that has its name, but not yet had its first start.
#[derive(Debug)]
pub struct NewMachine {
    paths: MachinePaths,
}

impl Store {
    /// Begins a machine. The caller holds its lock and has removed what stood under the name.
    pub fn begin(&self, _lock: &Lock, name: &str) -> Result<Draft, Error> {
        let paths = self.layout().draft(name);
        atomic::remove_tree(paths.directory())?;
        atomic::remove_tree(&self.layout().removing(name))?;
        atomic::private_directory(paths.directory())?;
        Ok(Draft { store: self.clone(), name: name.to_owned(), paths, committed: false })
    }

    /// Gives a machine another name, under which nothing stands. The caller holds both locks;
    /// nothing of the machine runs.
    pub fn rename(
        &self,
        _from_lock: &Lock,
        _to_lock: &Lock,
        from: &str,
        to: &str,
    ) -> Result<(), Error> {
        let (from, to) = (self.paths(from), self.paths(to));
        // As in `Draft::commit`.
        let ports = Lock::exclusive(&self.layout().ports_lock(), SHORT_LOCK)?;
        std::fs::rename(from.directory(), to.directory()).map_err(|source| Error::Io {
            action: "rename",
            path: from.directory().to_owned(),
            source,
        })?;
        drop(ports);
        atomic::sync_directory(&self.layout().machines())
    }

    /// Removes whatever stands under a name. The caller holds its lock; nothing of it runs.
    pub fn remove(&self, _lock: &Lock, name: &str) -> Result<(), Error> {
        let paths = self.paths(name);
        let removing = self.layout().removing(name);
        atomic::remove_tree(&removing)?;
        match std::fs::rename(paths.directory(), &removing) {
            Ok(()) => atomic::sync_directory(&self.layout().machines())?,
            Err(source) if source.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                let path = paths.directory().to_owned();
                return Err(Error::Io { action: "remove", path, source });
            }
        }
        atomic::remove_tree(self.layout().draft(name).directory())?;
        atomic::remove_tree(&removing)
    }
}

impl Draft {
    /// The paths while the machine is put together.
    pub fn paths(&self) -> &MachinePaths {
        &self.paths
    }

    /// Adds a file.
    pub fn write(&self, path: &Path, content: &str, access: Access) -> Result<(), Error> {
        atomic::write_new(path, content.as_bytes(), access)
    }

    /// Adds the disk, as a copy (a reflink, where the file system can).
    pub fn copy_disk(&self, template: &Path) -> Result<(), Error> {
        use std::os::unix::fs::PermissionsExt as _;
        let disk = self.paths.disk();
        let io = |source| Error::Io { action: "write", path: disk.clone(), source };
        std::fs::copy(template, &disk).map_err(io)?;
        std::fs::set_permissions(&disk, std::fs::Permissions::from_mode(0o600)).map_err(io)?;
        std::fs::File::open(&disk).and_then(|file| file.sync_data()).map_err(io)
    }

    /// Chooses ports that no other machine has and stores the record that `describe` makes of
    /// them.
    pub fn describe(
        &self,
        describe: impl FnOnce(Ports) -> MachineRecord,
    ) -> Result<MachineRecord, Error> {
        let layout = self.store.layout();
        let lock = Lock::exclusive(&layout.ports_lock(), SHORT_LOCK)?;
        let record = describe(ports::choose(layout)?);
        record::write_new(&self.paths.record(), &record)?;
        drop(lock);
        Ok(record)
    }

    /// Stores the record of a machine without ports of its own.
    pub fn describe_without_ports(&self, record: &MachineRecord) -> Result<(), Error> {
        record::write_new(&self.paths.record(), record)
    }

    /// Gives the machine its name.
    pub fn commit(mut self) -> Result<NewMachine, Error> {
        atomic::write_new(&self.paths.unfinished_mark(), b"", Access::Owner)?;
        atomic::sync_directory(self.paths.directory())?;
        let paths = self.store.paths(&self.name);
        // Whoever chooses ports just now must not look for this machine under its old name only.
        let ports = Lock::exclusive(&self.store.layout().ports_lock(), SHORT_LOCK)?;
        std::fs::rename(self.paths.directory(), paths.directory()).map_err(|source| Error::Io {
            action: "make",
            path: paths.directory().to_owned(),
            source,
        })?;
        drop(ports);
        self.committed = true;
        atomic::sync_directory(&self.store.layout().machines())?;
        Ok(NewMachine { paths })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.committed {
            // What cannot be removed now is removed by the next attempt.
            let _left = atomic::remove_tree(self.paths.directory());
        }
    }
}

impl NewMachine {
    pub fn paths(&self) -> &MachinePaths {
        &self.paths
    }

    /// The machine is complete.
    pub fn finish(self) -> Result<(), Error> {
        let mark = self.paths.unfinished_mark();
        std::fs::remove_file(&mark).map_err(|source| Error::Io {
            action: "remove",
            path: mark,
            source,
        })?;
        atomic::sync_directory(self.paths.directory())
    }
}
