//! A machine under another name: renamed or cloned.

use std::path::Path;

use machine_store::{DiskCopy, Lock, MachineRecord, NO_DRIVER, Presence};

use crate::driver::Progress;
use crate::{Error, MachineName, Machines, State, identity};

impl Machines {
    /// Gives a stopped machine another name; its certificates are made anew for it.
    pub async fn rename(&self, from: &MachineName, to: &MachineName) -> Result<(), Error> {
        let from_lock = self.lock_complete(from)?;
        let record = self.store.record(from.as_str())?;
        if record.driver != NO_DRIVER {
            match self.state(from).await? {
                State::Stopped => {}
                state => {
                    return Err(Error::NotStopped { name: from.clone(), action: "renamed", state });
                }
            }
        }
        let to_lock = self.vacant(to).await?;
        let now = (self.clock)();
        let renamed = identity::authority(&self.store, now).and_then(|authority| {
            self.store.rename(&from_lock, &to_lock, from.as_str(), to.as_str())?;
            Ok(authority)
        });
        let authority = match renamed {
            Ok(authority) => authority,
            Err(error) => {
                to_lock.remove();
                return Err(error);
            }
        };
        from_lock.remove();
        // Were this interrupted, the next start would find the names wrong and do the same.
        let paths = self.store.paths(to.as_str());
        identity::renew(&paths, to, &record.tls_names, &authority, now)
    }

    /// Makes a second machine with a copy of the disk, and keys, ports and identity of its own. A
    /// running machine's disk is copied as it is at one moment. The clone is stopped.
    pub async fn clone_machine(
        &self,
        from: &MachineName,
        to: &MachineName,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let _from_lock = self.lock_complete(from)?;
        let record = self.own_record(from, "cloned")?;
        let state = self.state(from).await?;
        match state {
            State::Running | State::Paused | State::Stopped => {}
            State::Saved => progress.warning(&format!(
                "\"{from}\" is suspended: the clone gets its disk, not its memory, and starts as \
                 after a power cut"
            )),
            state => return Err(Error::NotRunning { name: from.clone(), state }),
        }
        let to_lock = self.vacant(to).await?;
        progress.step(&format!("Copying \"{from}\" to \"{to}\"..."));
        let cloned = self.clone_locked(from, &record, state, &to_lock, to, progress).await;
        if cloned.is_err() && !self.exists(to) {
            to_lock.remove();
        }
        cloned
    }

    async fn clone_locked(
        &self,
        from: &MachineName,
        record: &MachineRecord,
        state: State,
        to_lock: &Lock,
        to: &MachineName,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let now = (self.clock)();
        let authority = identity::authority(&self.store, now)?;
        let draft = self.store.begin(to_lock, to.as_str())?;
        identity::write_new(&draft, to, &record.tls_names, &authority, now)?;
        self.copy_disk(from, state, &draft.paths().disk(), progress).await?;
        draft.describe(|ports| MachineRecord { ports, ..record.clone() })?;
        Ok(draft.commit()?.finish()?)
    }

    /// Copies a machine's disk as it is at one moment, whether it runs or not.
    pub(crate) async fn copy_disk(
        &self,
        name: &MachineName,
        state: State,
        to: &Path,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        if matches!(state, State::Running | State::Paused) {
            self.ensure_supervised(name, progress).await?;
            let copied = self.driver.snapshot(&self.files(name), None, to).await;
            return copied.map_err(|source| self.failed(name, "copied", source));
        }
        copy_file(&self.store.paths(name.as_str()).disk(), to).await
    }

    /// The lock of a name that is free; what an interrupted creation left under it is removed.
    pub(crate) async fn vacant(&self, name: &MachineName) -> Result<Lock, Error> {
        let taken = || Error::AlreadyExists { name: name.clone() };
        if self.store.presence(name.as_str()) == Presence::Complete {
            return Err(taken());
        }
        let lock = self.lock(name)?;
        match self.store.presence(name.as_str()) {
            Presence::Complete => return Err(taken()),
            Presence::Unfinished => self.clear(&lock, name).await?,
            Presence::Absent => {}
        }
        Ok(lock)
    }
}

/// Copies a large file that nobody writes; ends between two steps when it is no longer wanted.
pub(crate) async fn copy_file(from: &Path, to: &Path) -> Result<(), Error> {
    let mut copy = DiskCopy::begin(from, to)?;
    while !copy.step()? {
        tokio::task::yield_now().await;
    }
    Ok(())
}
