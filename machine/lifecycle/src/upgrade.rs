//! Bringing a machine up to date.

use std::time::Duration;

use machine_store::MachineRecord;

use crate::booted::Booted;
use crate::driver::Progress;
use crate::{Error, Freshness, MachineName, Machines, StartOptions, State};

impl Machines {
    /// Restarts the machine with the guest image of this version of the program, if it runs another
    /// one. Of a stopped machine nothing is done: every start takes the image there is. Answers
    /// whether the machine has changed or will at its next start.
    pub async fn upgrade(
        &self,
        name: &MachineName,
        timeout: Duration,
        progress: &dyn Progress,
    ) -> Result<bool, Error> {
        let lock = self.lock_complete(name)?;
        self.own_record(name, "upgraded")?;
        let booted = Booted::read(&self.store.paths(name.as_str()).booted());
        if booted.is_some_and(|booted| booted.image == self.image_digest().unwrap_or_default()) {
            return Ok(false);
        }
        // A damaged image is found before the machine is stopped for it.
        self.image()?;
        let options = StartOptions { timeout, discard_state: false, keep_failed: false };
        match self.state(name).await? {
            State::Stopped => return Ok(true),
            // Its memory is that of the old image: it has to come back to end properly.
            State::Saved => {
                self.start_locked(&lock, name, options, progress).await?;
            }
            _ => {}
        }
        progress.step(&format!("Restarting \"{name}\" with the new image..."));
        self.stop_locked(&lock, name).await?;
        self.start_locked(&lock, name, options, progress).await?;
        Ok(true)
    }

    /// Makes sure that a running machine has what its record says: certificates that are fresh, a
    /// supervisor, a disk of the right size, an API that answers.
    pub async fn provision(
        &self,
        name: &MachineName,
        timeout: Duration,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        self.require_running(name).await?;
        let record = self.own_record(name, "provisioned")?;
        if let Freshness::Due(error) = self.freshen(name).await? {
            return Err(error);
        }
        let lock = self.lock_complete(name)?;
        let provisioned =
            tokio::time::timeout(timeout, self.provision_locked(&lock, name, &record, progress));
        provisioned.await.map_err(|_| {
            let phase = "provisioning".to_owned();
            let console = Vec::new();
            let source =
                crate::driver::DriverError::Timeout { phase, seconds: timeout.as_secs(), console };
            self.failed(name, "provisioned", source)
        })?
    }

    async fn provision_locked(
        &self,
        _lock: &machine_store::Lock,
        name: &MachineName,
        record: &MachineRecord,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        self.ensure_supervised(name, progress).await?;
        self.load_identity(name).await?;
        let booted = Booted::read(&self.store.paths(name.as_str()).booted());
        if booted.is_none_or(|booted| booted.record.disk_size_mib < record.disk_size_mib) {
            self.grow_disk(name, record.disk_size_mib).await?;
        }
        self.require_running(name).await
    }
}
