//! Snapshots on disk, and a machine's way back to one: crashes leave the old or the new.
//!
//! ```text
//!   snapshots/.NAME.saving ──commit──► snapshots/NAME ──► snapshots/.NAME.removing ──► (nothing)
//!   .restoring ──commit──► .restored ──settle──► disk.qcow2, memory.state, booted.json
//! ```
//!
//! A disk and the memory that belongs to it change together: from the commit on every command that
//! takes the machine's lock first moves what is left to move.

use std::io;
use std::path::{Path, PathBuf};

use crate::atomic;
use crate::lock::Lock;
use crate::{Error, MachinePaths, SnapshotPaths, Store};

/// A snapshot that is put together where nobody sees it. Dropped, it is gone.
#[derive(Debug)]
pub struct SnapshotDraft {
    paths: SnapshotPaths,
    target: PathBuf,
    committed: bool,
}

/// What a machine is to become again. Dropped, it stays as it is.
#[derive(Debug)]
pub struct RestoreDraft {
    paths: SnapshotPaths,
    machine: MachinePaths,
    committed: bool,
}

impl Store {
    /// The names of a machine's snapshots, in no order.
    pub fn snapshots(&self, machine: &str) -> Result<Vec<String>, Error> {
        let directory = self.paths(machine).snapshots();
        let names = entries(&directory)?.into_iter().filter(|name| !name.starts_with('.'));
        Ok(names.collect())
    }

    /// Begins a snapshot; there is none of that name. The caller holds the machine's lock.
    pub fn begin_snapshot(
        &self,
        _lock: &Lock,
        machine: &str,
        name: &str,
    ) -> Result<SnapshotDraft, Error> {
        let machine = self.paths(machine);
        sweep(&machine)?;
        let paths = machine.snapshot_draft(name);
        atomic::private_directory(paths.directory())?;
        let target = machine.snapshot(name).directory().to_owned();
        Ok(SnapshotDraft { paths, target, committed: false })
    }

    /// Removes a snapshot. The caller holds the machine's lock.
    pub fn remove_snapshot(&self, _lock: &Lock, machine: &str, name: &str) -> Result<(), Error> {
        let machine = self.paths(machine);
        sweep(&machine)?;
        let removing = machine.snapshot_removing(name);
        rename(machine.snapshot(name).directory(), &removing)?;
        atomic::remove_tree(&removing)
    }

    /// Begins the way back. The caller holds the machine's lock.
    pub fn begin_restore(&self, _lock: &Lock, machine: &str) -> Result<RestoreDraft, Error> {
        let machine = self.paths(machine);
        let paths = machine.restoring();
        atomic::remove_tree(paths.directory())?;
        atomic::private_directory(paths.directory())?;
        Ok(RestoreDraft { paths, machine, committed: false })
    }

    /// Finishes a way back that was committed, and forgets one that was not. The caller holds the
    /// machine's lock; if there is anything to finish, nothing of the machine runs.
    pub fn settle(&self, _lock: &Lock, machine: &str) -> Result<(), Error> {
        let machine = self.paths(machine);
        atomic::remove_tree(machine.restoring().directory())?;
        settle(&machine)
    }
}

impl SnapshotDraft {
    /// The paths while it is put together.
    pub fn paths(&self) -> &SnapshotPaths {
        &self.paths
    }

    /// Gives it its name.
    pub fn commit(mut self) -> Result<(), Error> {
        atomic::sync_directory(self.paths.directory())?;
        rename(self.paths.directory(), &self.target)?;
        self.committed = true;
        Ok(())
    }
}

impl RestoreDraft {
    /// The paths while it is put together.
    pub fn paths(&self) -> &SnapshotPaths {
        &self.paths
    }

    /// Makes the machine what was put together. Nothing of it runs.
    pub fn commit(mut self) -> Result<(), Error> {
        atomic::sync_directory(self.paths.directory())?;
        rename(self.paths.directory(), self.machine.restored().directory())?;
        self.committed = true;
        settle(&self.machine)
    }
}

impl Drop for SnapshotDraft {
    fn drop(&mut self) {
        if !self.committed {
            // What cannot be removed now is removed by the next attempt.
            let _left = atomic::remove_tree(self.paths.directory());
        }
    }
}

impl Drop for RestoreDraft {
    fn drop(&mut self) {
        if !self.committed {
            let _left = atomic::remove_tree(self.paths.directory());
        }
    }
}

/// The disk goes first, and as long as it has not gone no memory may be left that it does not
/// belong to; the rest can be repeated.
fn settle(machine: &MachinePaths) -> Result<(), Error> {
    let restored = machine.restored();
    if !restored.directory().is_dir() {
        return Ok(());
    }
    if restored.disk().exists() {
        atomic::remove(&machine.memory_state())?;
        rename(&restored.disk(), &machine.disk())?;
    }
    for (from, to) in
        [(restored.booted(), machine.booted()), (restored.memory(), machine.memory_state())]
    {
        if from.exists() {
            rename(&from, &to)?;
        }
    }
    atomic::remove_tree(restored.directory())
}

/// Removes what interrupted commands have left.
fn sweep(machine: &MachinePaths) -> Result<(), Error> {
    let directory = machine.snapshots();
    atomic::private_directory(&directory)?;
    for name in entries(&directory)?.into_iter().filter(|name| name.starts_with('.')) {
        atomic::remove_tree(&directory.join(name))?;
    }
    Ok(())
}

fn entries(directory: &Path) -> Result<Vec<String>, Error> {
    let io = |source| Error::Io { action: "list", path: directory.to_owned(), source };
    let entries = match std::fs::read_dir(directory) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io)?;
        if let Ok(name) = entry.file_name().into_string()
            && entry.path().is_dir()
        {
            names.push(name);
        }
    }
    Ok(names)
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    std::fs::rename(from, to).map_err(|source| Error::Io {
        action: "move",
        path: from.to_owned(),
        source,
    })?;
    to.parent().map_or(Ok(()), atomic::sync_directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> (tempfile::TempDir, Store, Lock) {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let paths = store.paths("dev");
        std::fs::create_dir(paths.directory()).unwrap();
        std::fs::write(paths.disk(), "old disk").unwrap();
        std::fs::write(paths.memory_state(), "old memory").unwrap();
        let lock = store.lock("dev").unwrap();
        (root, store, lock)
    }

    fn content(path: &Path) -> Option<String> {
        std::fs::read_to_string(path).ok()
    }

    #[test]
    fn a_snapshot_is_seen_when_it_is_complete() {
        let (_root, store, lock) = machine();
        let draft = store.begin_snapshot(&lock, "dev", "one").unwrap();
        std::fs::write(draft.paths().disk(), "disk").unwrap();
        assert_eq!(store.snapshots("dev").unwrap(), [""; 0]);
        draft.commit().unwrap();
        assert_eq!(store.snapshots("dev").unwrap(), ["one"]);
        assert_eq!(content(&store.paths("dev").snapshot("one").disk()).unwrap(), "disk");

        drop(store.begin_snapshot(&lock, "dev", "two").unwrap());
        store.remove_snapshot(&lock, "dev", "one").unwrap();
        let left = std::fs::read_dir(store.paths("dev").snapshots()).unwrap().count();
        assert_eq!(left, 0);
    }

    #[test]
    fn a_way_back_that_is_not_committed_changes_nothing() {
        let (_root, store, lock) = machine();
        let draft = store.begin_restore(&lock, "dev").unwrap();
        std::fs::write(draft.paths().disk(), "new disk").unwrap();
        // As if the process had been killed here.
        std::mem::forget(draft);
        store.settle(&lock, "dev").unwrap();
        let paths = store.paths("dev");
        assert_eq!(content(&paths.disk()).unwrap(), "old disk");
        assert!(paths.is_saved());
        assert!(!paths.restoring().directory().exists());
    }

    /// Stops the settling at each of its steps.
    #[test]
    fn an_interrupted_way_back_is_finished_and_never_mixes_disk_and_memory() {
        for with_memory in [true, false] {
            for steps in 0..5 {
                let (_root, store, lock) = machine();
                let paths = store.paths("dev");
                let restored = paths.restored();
                std::fs::create_dir(restored.directory()).unwrap();
                std::fs::write(restored.disk(), "new disk").unwrap();
                if with_memory {
                    std::fs::write(restored.memory(), "new memory").unwrap();
                    std::fs::write(restored.booted(), "new").unwrap();
                }
                let done: [&dyn Fn(); 4] = [
                    &|| atomic::remove(&paths.memory_state()).unwrap(),
                    &|| rename(&restored.disk(), &paths.disk()).unwrap(),
                    &|| drop(rename(&restored.booted(), &paths.booted())),
                    &|| drop(rename(&restored.memory(), &paths.memory_state())),
                ];
                done.iter().take(steps).for_each(|step| step());
                assert_eq!(paths.is_saved(), with_memory, "after {steps} steps");
                store.settle(&lock, "dev").unwrap();
                assert_eq!(content(&paths.disk()).unwrap(), "new disk");
                let memory = with_memory.then(|| "new memory".to_owned());
                assert_eq!(content(&paths.memory_state()), memory, "after {steps} steps");
                assert!(!restored.directory().exists());
            }
        }
    }
}
