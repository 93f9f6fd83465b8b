//! From a wish to a running machine, or to nothing at all.

use std::time::{Duration, Instant};

use machine_store::{Lock, Presence};
use vm_images::Verified;

use crate::driver::{Progress, Started, Stop};
use crate::{Error, MachineName, MachineSpec, Machines, identity};

/// A new machine that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    pub started: Started,
}

impl Machines {
    /// Makes a machine and starts it. On an error nothing of it is left.
    ///
    /// When the future is dropped half-way, [`Self::abandon`] removes what it left; when the
    /// process is killed, the next `create` or `remove` of that name does.
    pub async fn create(
        &self,
        name: &MachineName,
        spec: &MachineSpec,
        timeout: Duration,
        progress: &dyn Progress,
    ) -> Result<Created, Error> {
        progress.step("Running pre-create checks...");
        for warning in spec.check(&(self.capacity)(&self.store))? {
            progress.warning(&warning);
        }
        if self.store.presence(name.as_str()) == Presence::Complete {
            return Err(Error::AlreadyExists { name: name.clone() });
        }
        let lock = self.lock(name)?;
        if self.store.presence(name.as_str()) == Presence::Complete {
            return Err(Error::AlreadyExists { name: name.clone() });
        }
        let outcome = self.create_locked(&lock, name, spec, timeout, progress).await;
        if outcome.is_err() {
            match self.clear(&lock, name).await {
                Ok(()) => lock.remove(),
                // The first error is the one to tell; the next attempt clears again.
                Err(error) => progress.warning(&format!("something was left behind: {error}")),
            }
        }
        outcome
    }

    /// Removes a machine whose creation was given up. Does nothing to one that is complete.
    pub async fn abandon(&self, name: &MachineName) -> Result<(), Error> {
        let lock = self.lock(name)?;
        if self.store.presence(name.as_str()) == Presence::Complete {
            return Ok(());
        }
        self.clear(&lock, name).await?;
        lock.remove();
        Ok(())
    }

    async fn create_locked(
        &self,
        lock: &Lock,
        name: &MachineName,
        spec: &MachineSpec,
        timeout: Duration,
        progress: &dyn Progress,
    ) -> Result<Created, Error> {
        let begin = Instant::now();
        let image = self.image()?;
        let image_done = Instant::now();

        progress.step("Creating machine...");
        if self.store.presence(name.as_str()) == Presence::Unfinished {
            self.clear(lock, name).await?;
        }
        let (machine, timings) = self.build(lock, name, spec, &image)?;
        let record = self.store.record(name.as_str())?;
        let mut started =
            self.boot(name, &record, image, timeout, progress).await.map_err(Error::on_creation)?;
        machine.finish()?;

        let mut all = vec![("image".to_owned(), image_done - begin)];
        all.extend(timings);
        all.append(&mut started.timings);
        Ok(Created { started: Started { timings: all, ..started } })
    }

    /// Everything up to the moment at which the machine has its name.
    fn build(
        &self,
        lock: &Lock,
        name: &MachineName,
        spec: &MachineSpec,
        image: &Verified,
    ) -> Result<(machine_store::NewMachine, Vec<(String, Duration)>), Error> {
        let now = (self.clock)();
        let begin = Instant::now();
        let draft = self.store.begin(lock, name.as_str())?;
        let authority = identity::authority(&self.store, now)?;
        identity::write_new(&draft, name, &spec.tls_names, &authority, now)?;
        let certificates_done = Instant::now();
        draft.copy_disk(&image.disk)?;
        draft.describe(|ports| spec.to_record(ports))?;
        let machine = draft.commit()?;
        let timings = vec![
            ("certificates".to_owned(), certificates_done - begin),
            ("disk".to_owned(), certificates_done.elapsed()),
        ];
        Ok((machine, timings))
    }

    /// Ends what runs under a name and removes it.
    async fn clear(&self, lock: &Lock, name: &MachineName) -> Result<(), Error> {
        if self.exists(name) {
            self.driver.stop(&self.files(name), Stop::Kill).await.map_err(|source| {
                Error::Driver { name: name.clone(), action: "removed", source }
            })?;
        }
        Ok(self.store.remove(lock, name.as_str())?)
    }
}
