//! Snapshots: what a machine was at one moment, to go back to.

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use machine_store::atomic::{self, Access};
use machine_store::{Lock, MachineRecord, SnapshotPaths};
use serde::{Deserialize, Serialize};

use crate::booted::Booted;
use crate::copy::copy_file;
use crate::driver::{Progress, Stop};
use crate::{Error, MachineName, Machines, StartOptions, State};

/// A snapshot of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Of the same form as a machine's name.
    pub name: MachineName,
    pub created: SystemTime,
    /// It has the memory of a running machine too.
    pub with_memory: bool,
    /// Bytes that its files take on the host's disk.
    pub size: u64,
}

/// What is stored of it beside its files.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    version: u32,
    created: jiff::Timestamp,
    with_memory: bool,
}

const VERSION: u32 = 1;
const LIMIT: u64 = 64 * 1024;

impl Machines {
    /// Takes a snapshot: of a running, paused or suspended machine with its memory, of a stopped
    /// one its disk. Without a name it is called after the time, like `20260102-150405`.
    pub async fn snapshot_save(
        &self,
        name: &MachineName,
        snapshot: Option<&MachineName>,
        progress: &dyn Progress,
    ) -> Result<Snapshot, Error> {
        let lock = self.lock_complete(name)?;
        let record = self.own_record(name, "saved as a snapshot")?;
        let state = self.state(name).await?;
        if !matches!(state, State::Running | State::Paused | State::Saved | State::Stopped) {
            return Err(Error::NotRunning { name: name.clone(), state });
        }
        let created = self.now()?;
        let snapshot = match snapshot {
            Some(snapshot) => snapshot.clone(),
            None => self.unused_snapshot_name(name, created)?,
        };
        if self.paths_of(name, &snapshot).directory().exists() {
            return Err(Error::SnapshotExists { name: name.clone(), snapshot });
        }
        let draft = self.store.begin_snapshot(&lock, name.as_str(), snapshot.as_str())?;
        self.fill(name, &record, state, draft.paths(), progress).await?;
        let with_memory = state != State::Stopped;
        let description = Description { version: VERSION, created, with_memory };
        let text = serde_json::to_vec(&description)?;
        atomic::write(&draft.paths().description(), &text, Access::Owner)?;
        draft.commit()?;
        self.describe(name, &snapshot)
    }

    /// Makes the machine what it was: its disk, and, if it ran, it runs again from that moment. What
    /// runs now is ended.
    pub async fn snapshot_restore(
        &self,
        name: &MachineName,
        snapshot: &MachineName,
        timeout: Duration,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let lock = self.lock_complete(name)?;
        self.own_record(name, "restored")?;
        let description = self.describe(name, snapshot)?;
        self.replace_files(&lock, name, &description).await?;
        if description.with_memory {
            let options = StartOptions { timeout, discard_state: false, keep_failed: false };
            self.start_locked(&lock, name, options, progress).await?;
        }
        Ok(())
    }

    /// Oldest first. One that cannot be read is left out.
    pub fn snapshots(&self, name: &MachineName) -> Result<Vec<Snapshot>, Error> {
        self.require(name)?;
        let names = self.store.snapshots(name.as_str())?;
        let names = names.iter().filter_map(|snapshot| snapshot.parse::<MachineName>().ok());
        let mut snapshots: Vec<_> =
            names.filter_map(|snapshot| self.describe(name, &snapshot).ok()).collect();
        snapshots.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
        Ok(snapshots)
    }

    pub async fn snapshot_remove(
        &self,
        name: &MachineName,
        snapshot: &MachineName,
    ) -> Result<(), Error> {
        let lock = self.lock_complete(name)?;
        self.require_snapshot(name, snapshot)?;
        Ok(self.store.remove_snapshot(&lock, name.as_str(), snapshot.as_str())?)
    }

    /// Puts the machine's files into a snapshot.
    async fn fill(
        &self,
        name: &MachineName,
        record: &MachineRecord,
        state: State,
        to: &SnapshotPaths,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let paths = self.store.paths(name.as_str());
        match state {
            State::Running | State::Paused => {
                self.ensure_supervised(name, progress).await?;
                let memory = to.memory();
                let files = self.files(name);
                let saved = self.driver.snapshot(&files, Some(&memory), &to.disk()).await;
                saved.map_err(|source| self.failed(name, "saved as a snapshot", source))?;
            }
            State::Saved => {
                copy_file(&paths.disk(), &to.disk()).await?;
                copy_file(&paths.memory_state(), &to.memory()).await?;
            }
            _ => return copy_file(&paths.disk(), &to.disk()).await,
        }
        let booted = Booted::read(&paths.booted())
            .unwrap_or_else(|| Booted { image: String::new(), record: record.clone() });
        booted.write(&to.booted())
    }

    /// Everything is copied first; then what runs is ended, and disk and memory change together.
    async fn replace_files(
        &self,
        lock: &Lock,
        name: &MachineName,
        snapshot: &Snapshot,
    ) -> Result<(), Error> {
        let from = self.paths_of(name, &snapshot.name);
        let draft = self.store.begin_restore(lock, name.as_str())?;
        let to = draft.paths();
        copy_file(&from.disk(), &to.disk()).await?;
        if snapshot.with_memory {
            copy_file(&from.memory(), &to.memory()).await?;
            copy_file(&from.booted(), &to.booted()).await?;
        }
        let ended = self.driver.stop(&self.files(name), Stop::Kill).await;
        ended.map_err(|source| self.failed(name, "restored", source))?;
        Ok(draft.commit()?)
    }

    fn describe(&self, name: &MachineName, snapshot: &MachineName) -> Result<Snapshot, Error> {
        self.require_snapshot(name, snapshot)?;
        let paths = self.paths_of(name, snapshot);
        let path = paths.description();
        let text = atomic::read(&path, LIMIT)?;
        let unreadable = |source| Error::Snapshot { path: path.clone(), source };
        let description: Description = serde_json::from_str(&text).map_err(unreadable)?;
        let files = [paths.disk(), paths.memory()];
        let sizes = files.iter().filter_map(|file| file.metadata().ok());
        Ok(Snapshot {
            name: snapshot.clone(),
            created: description.created.into(),
            with_memory: description.with_memory,
            size: sizes.map(|file| file.blocks() * 512).sum(),
        })
    }

    fn require_snapshot(&self, name: &MachineName, snapshot: &MachineName) -> Result<(), Error> {
        if self.paths_of(name, snapshot).directory().is_dir() {
            return Ok(());
        }
        self.require(name)?;
        Err(Error::SnapshotNotFound { name: name.clone(), snapshot: snapshot.clone() })
    }

    fn unused_snapshot_name(
        &self,
        name: &MachineName,
        created: jiff::Timestamp,
    ) -> Result<MachineName, Error> {
        let time = created.to_zoned(jiff::tz::TimeZone::system());
        let time = time.strftime("%Y%m%d-%H%M%S").to_string();
        let mut candidate: MachineName = time.parse()?;
        // Two in one second are possible.
        let mut number = 2;
        while self.paths_of(name, &candidate).directory().exists() {
            candidate = format!("{time}-{number}").parse()?;
            number += 1;
        }
        Ok(candidate)
    }

    fn paths_of(&self, name: &MachineName, snapshot: &MachineName) -> SnapshotPaths {
        self.store.paths(name.as_str()).snapshot(snapshot.as_str())
    }

    fn now(&self) -> Result<jiff::Timestamp, Error> {
        jiff::Timestamp::try_from((self.clock)()).map_err(|_| certs::Error::Time.into())
    }
}
