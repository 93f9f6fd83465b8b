//! What stands in front of the disk: which machine it is.

use machine_store::{EngineRecord, MachineRecord, SwarmRecord};
use serde::{Deserialize, Serialize};

use super::TransferError;
use super::archive::Malformed;
use crate::driver::Acceleration;
use crate::{Capacity, DriverKind, Error, MachineName, MachineSpec};

const FORMAT: &str = "machine";
const VERSION: u32 = 1;

/// The first entry of the archive, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: String,
    version: u32,
    machine: Machine,
}

/// A machine without all that belongs to one place: ports, paths, keys, acceleration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Machine {
    name: String,
    cpus: u32,
    memory_mib: u64,
    disk_size_mib: u64,
    #[serde(default)]
    tls_names: Vec<String>,
    #[serde(default)]
    engine: EngineRecord,
    #[serde(default)]
    swarm: Option<SwarmRecord>,
}

#[derive(Deserialize)]
struct Version {
    format: String,
    version: u32,
}

impl Manifest {
    pub(super) fn new(name: &MachineName, record: &MachineRecord) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            machine: Machine {
                name: name.to_string(),
                cpus: record.cpus,
                memory_mib: record.memory_mib,
                disk_size_mib: record.disk_size_mib,
                tls_names: record.tls_names.clone(),
                engine: record.engine.clone(),
                swarm: record.swarm.clone(),
            },
        }
    }

    pub(super) fn read(json: &[u8]) -> Result<Self, TransferError> {
        let malformed = |error| TransferError::Malformed(Malformed::Manifest(error));
        // First the version alone: a newer format may not even parse as this one.
        let Version { format, version } = serde_json::from_slice(json).map_err(malformed)?;
        if format != FORMAT {
            return Err(Malformed::Format.into());
        }
        if version != VERSION {
            return Err(TransferError::Newer(version));
        }
        serde_json::from_slice(json).map_err(malformed)
    }

    pub(super) fn name(&self) -> Result<MachineName, Error> {
        self.machine.name.parse()
    }

    /// The machine to make, and what had to be changed for this host.
    pub(super) fn spec(
        &self,
        host: &Capacity,
    ) -> Result<(MachineSpec, Vec<String>), TransferError> {
        let machine = &self.machine;
        let mut spec = MachineSpec {
            driver: DriverKind::Qemu,
            cpus: machine.cpus,
            memory_mib: machine.memory_mib,
            disk_size_mib: machine.disk_size_mib,
            acceleration: Acceleration::Auto,
            tls_names: machine.tls_names.clone(),
            engine: machine.engine.clone(),
            swarm: machine.swarm.clone(),
        };
        check(&spec)?;
        let mut warnings = Vec::new();
        if spec.cpus > host.cpus {
            warnings.push(format!("it had {} CPUs, here it gets {}", spec.cpus, host.cpus));
            spec.cpus = host.cpus;
        }
        if let Some(available) = host.memory_mib.filter(|available| *available < spec.memory_mib) {
            warnings.push(format!(
                "it has {} MB of memory, of which {available} MB are available now",
                spec.memory_mib
            ));
        }
        Ok((spec, warnings))
    }
}

/// Whether such a machine is possible anywhere.
pub(super) fn check(spec: &MachineSpec) -> Result<(), TransferError> {
    let anywhere = Capacity { cpus: u32::MAX, memory_mib: None, disk_mib: None };
    spec.check(&anywhere).map(drop).map_err(TransferError::Machine)
}
