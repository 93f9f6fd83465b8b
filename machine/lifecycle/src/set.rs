//! Changing what a machine has.

use machine_store::{Lock, MachineRecord};

use crate::booted::Booted;
use crate::driver::Unheard;
use crate::{Error, InvalidSpec, MachineConfig, MachineName, Machines, State, spec};

/// What is to be different; `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub cpus: Option<u32>,
    pub memory_mib: Option<u64>,
    /// Larger than now, never smaller.
    pub disk_size_mib: Option<u64>,
}

/// What came of a [`Change`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Something differs from what the running VM has, until it is restarted.
    pub at_next_start: bool,
    /// The disk of the running VM has grown.
    pub disk_grown: bool,
}

impl Machines {
    /// Writes the change down and, for the disk of a running machine, carries it out.
    pub async fn set(&self, name: &MachineName, change: &Change) -> Result<Changed, Error> {
        let lock = self.lock_complete(name)?;
        let old = self.own_record(name, "changed")?;
        let new = MachineRecord {
            cpus: change.cpus.unwrap_or(old.cpus),
            memory_mib: change.memory_mib.unwrap_or(old.memory_mib),
            disk_size_mib: change.disk_size_mib.unwrap_or(old.disk_size_mib),
            ..old.clone()
        };
        self.change(&lock, name, &old, &new).await
    }

    /// What can be written down about a machine, to be shown and edited.
    pub fn config(&self, name: &MachineName) -> Result<MachineConfig, Error> {
        self.require(name)?;
        Ok(MachineConfig::of(name, &self.store.record(name.as_str())?))
    }

    /// Makes a machine what is written down. What cannot change later is refused by name.
    pub async fn configure(
        &self,
        name: &MachineName,
        config: &MachineConfig,
    ) -> Result<Changed, Error> {
        let lock = self.lock_complete(name)?;
        let old = self.store.record(name.as_str())?;
        let new = config.applied_to(name, &old)?;
        self.change(&lock, name, &old, &new).await
    }

    async fn change(
        &self,
        lock: &Lock,
        name: &MachineName,
        old: &MachineRecord,
        new: &MachineRecord,
    ) -> Result<Changed, Error> {
        let state = self.state(name).await?;
        let lives = matches!(state, State::Running | State::Paused | State::Saved);
        let booted = Booted::read(&self.store.paths(name.as_str()).booted());
        if !self.is_elsewhere(name) {
            let used = booted.as_ref().filter(|_| lives).map(|booted| booted.record.memory_mib);
            self.check_change(old, new, used.unwrap_or_default())?;
        }
        spec::check_texts(&new.tls_names, &new.engine, new.swarm.as_ref())?;
        if old != new {
            self.store.write_record(lock, name.as_str(), new)?;
        }
        if !lives || self.is_elsewhere(name) {
            return Ok(Changed::default());
        }
        let mut changed = Changed {
            at_next_start: booted.as_ref().map_or(old != new, |booted| booted.differs(new)),
            disk_grown: false,
        };
        let disk = booted.map_or(old.disk_size_mib, |booted| booted.record.disk_size_mib);
        if new.disk_size_mib > disk {
            if state == State::Running {
                self.ensure_supervised(name, &Unheard).await?;
                self.grow_disk(name, new.disk_size_mib).await?;
                changed.disk_grown = true;
            } else {
                changed.at_next_start = true;
            }
        }
        Ok(changed)
    }

    /// Only what changes is checked: what was possible once is not refused now.
    fn check_change(
        &self,
        old: &MachineRecord,
        new: &MachineRecord,
        used_memory_mib: u64,
    ) -> Result<(), Error> {
        let host = (self.capacity)(&self.store);
        if new.cpus != old.cpus {
            spec::check_cpus(new.cpus, &host)?;
        }
        if new.memory_mib != old.memory_mib {
            spec::check_memory(new.memory_mib, used_memory_mib, &host)?;
        }
        let (now_mib, wanted_mib) = (old.disk_size_mib, new.disk_size_mib);
        if wanted_mib < now_mib {
            return Err(InvalidSpec::SmallerDisk { now_mib, wanted_mib }.into());
        }
        if wanted_mib != now_mib {
            spec::check_disk(wanted_mib)?;
        }
        Ok(())
    }
}
