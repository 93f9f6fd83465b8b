//! From a wish to a running machine, or to nothing at all.

use std::time::{Duration, Instant};

use machine_store::{Lock, Presence};

use crate::driver::{Progress, Started, Stop};
use crate::{
    BootImage, DriverKind, Error, MachineName, MachineSpec, Machines, StartOptions, identity,
};

/// A new machine that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    pub started: Started,
}

impl Machines {
    /// Makes a machine and starts it. On an error nothing of it is left, unless it shall be kept.
    ///
    /// When the future is dropped half-way, [`Self::abandon`] removes what it left; when the
    /// process is killed, the next `create` or `remove` of that name does.
    pub async fn create(
        &self,
        name: &MachineName,
        spec: &MachineSpec,
        options: StartOptions,
        progress: &dyn Progress,
    ) -> Result<Created, Error> {
        progress.step("Running pre-create checks...");
        for warning in spec.check(&(self.capacity)(&self.store))? {
            progress.warning(&warning);
        }
        let has_vm = spec.driver == DriverKind::Qemu;
        if has_vm {
            let able = self.driver.check().await;
            able.map_err(|source| self.failed(name, "created", source))?;
        }
        let lock = self.vacant(name).await?;
        let outcome = if has_vm {
            self.create_locked(&lock, name, spec, options, progress).await
        } else {
            progress.step("Creating machine...");
            self.build_elsewhere(&lock, name, spec).map(|()| Created {
                started: Started { acceleration: spec.acceleration, timings: Vec::new() },
            })
        };
        match outcome {
            Ok(created) => Ok(created),
            Err(error) if options.keep_failed && self.exists(name) => Err(error.of_kept()),
            Err(error) => {
                match self.clear(&lock, name).await {
                    Ok(()) => lock.remove(),
                    // The first error is the one to tell; the next attempt clears again.
                    Err(error) => {
                        progress.warning(&format!("something was left behind: {error}"));
                    }
                }
                Err(error)
            }
        }
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
        options: StartOptions,
        progress: &dyn Progress,
    ) -> Result<Created, Error> {
        let begin = Instant::now();
        let image = self.image()?;
        let image_done = Instant::now();

        progress.step("Creating machine...");
        let (machine, timings) = self.build(lock, name, spec, &image)?;
        let record = self.store.record(name.as_str())?;
        let started = self.boot(name, &record, &image, options.timeout, progress).await;
        let mut started = started.map_err(Error::on_creation)?;
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
        image: &BootImage,
    ) -> Result<(machine_store::NewMachine, Vec<(String, Duration)>), Error> {
        let now = (self.clock)();
        let begin = Instant::now();
        let draft = self.store.begin(lock, name.as_str())?;
        let authority = identity::authority(&self.store, now)?;
        identity::write_new(&draft, name, &spec.tls_names, &authority, now)?;
        let certificates_done = Instant::now();
        draft.copy_disk(&image.files.disk)?;
        draft.describe(|ports| spec.to_record(ports))?;
        let machine = draft.commit()?;
        let timings = vec![
            ("certificates".to_owned(), certificates_done - begin),
            ("disk".to_owned(), certificates_done.elapsed()),
        ];
        Ok((machine, timings))
    }

    /// Ends what runs under a name and removes it.
    pub(crate) async fn clear(&self, lock: &Lock, name: &MachineName) -> Result<(), Error> {
        if self.exists(name) {
            let ended = self.driver.stop(&self.files(name), Stop::Kill).await;
            ended.map_err(|source| self.failed(name, "removed", source))?;
        }
        Ok(self.store.remove(lock, name.as_str())?)
    }
}
