//! What a user asks for, and whether this host can give it.

use std::fmt;
use std::str::FromStr;

use machine_store::{MachineRecord, Ports};

use crate::Capacity;
use crate::driver::Acceleration;

const LEAST_MEMORY_MIB: u64 = 256;
/// The size of the disk template.
const LEAST_DISK_MIB: u64 = 4096;
/// The largest file system the guest can make.
const MOST_DISK_MIB: u64 = 16 * 1024 * 1024;
const MOST_CPUS: u32 = 64;
/// Below this much room a machine would soon stop for want of it.
const LEAST_FREE_DISK_MIB: u64 = 1024;

/// The driver's name in `machine.yaml` and `ls`.
pub(crate) const DRIVER: &str = "qemu";

/// The machine to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineSpec {
    pub cpus: u32,
    pub memory_mib: u64,
    pub disk_size_mib: u64,
    pub acceleration: Acceleration,
    /// Names and addresses for the server's certificate, beside those it always has.
    pub tls_names: Vec<String>,
    /// `KEY=VALUE` each.
    pub engine_labels: Vec<String>,
}

/// Why a machine cannot be like that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpec {
    #[error("{wanted} CPUs are not possible: 1 to {most} are")]
    Cpus { wanted: u32, most: u32 },
    #[error("{wanted_mib} MB of memory are too little: {LEAST_MEMORY_MIB} MB are needed")]
    LittleMemory { wanted_mib: u64 },
    #[error("{wanted_mib} MB of memory are not available: {available_mib} MB are")]
    MuchMemory { wanted_mib: u64, available_mib: u64 },
    #[error(
        "a disk of {wanted_mib} MB is not possible: {LEAST_DISK_MIB} to {MOST_DISK_MIB} MB are"
    )]
    DiskSize { wanted_mib: u64 },
    #[error("only {available_mib} MB are free on the disk: {LEAST_FREE_DISK_MIB} MB are needed")]
    FullDisk { available_mib: u64 },
    #[error("{0:?} is not a label of the form KEY=VALUE")]
    Label(String),
    #[error("{0:?} is neither a host name nor an address")]
    TlsName(String),
}

impl MachineSpec {
    /// Refuses what is absurd or not available; answers with warnings about what is daring.
    pub fn check(&self, host: &Capacity) -> Result<Vec<String>, InvalidSpec> {
        let most = host.cpus.min(MOST_CPUS);
        if !(1..=most).contains(&self.cpus) {
            return Err(InvalidSpec::Cpus { wanted: self.cpus, most });
        }
        let wanted_mib = self.memory_mib;
        if wanted_mib < LEAST_MEMORY_MIB {
            return Err(InvalidSpec::LittleMemory { wanted_mib });
        }
        if let Some(available_mib) = host.memory_mib.filter(|available| *available < wanted_mib) {
            return Err(InvalidSpec::MuchMemory { wanted_mib, available_mib });
        }
        let wanted_mib = self.disk_size_mib;
        if !(LEAST_DISK_MIB..=MOST_DISK_MIB).contains(&wanted_mib) {
            return Err(InvalidSpec::DiskSize { wanted_mib });
        }
        self.check_texts()?;
        match host.disk_mib {
            Some(available_mib) if available_mib < LEAST_FREE_DISK_MIB => {
                Err(InvalidSpec::FullDisk { available_mib })
            }
            Some(available_mib) if available_mib < wanted_mib => Ok(vec![format!(
                "the disk may grow to {wanted_mib} MB, but only {available_mib} MB are free now"
            )]),
            Some(_) | None => Ok(Vec::new()),
        }
    }

    fn check_texts(&self) -> Result<(), InvalidSpec> {
        let is_label =
            |label: &String| label.split_once('=').is_some_and(|(key, _)| !key.trim().is_empty());
        if let Some(bad) = self.engine_labels.iter().find(|label| !is_label(label)) {
            return Err(InvalidSpec::Label(bad.clone()));
        }
        let is_name = |name: &String| {
            !name.is_empty()
                && name.len() <= 253
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._*:".contains(&byte))
        };
        match self.tls_names.iter().find(|name| !is_name(name)) {
            Some(bad) => Err(InvalidSpec::TlsName(bad.clone())),
            None => Ok(()),
        }
    }

    pub(crate) fn to_record(&self, ports: Ports) -> MachineRecord {
        MachineRecord {
            driver: DRIVER.to_owned(),
            cpus: self.cpus,
            memory_mib: self.memory_mib,
            disk_size_mib: self.disk_size_mib,
            acceleration: self.acceleration.to_string(),
            ports,
            tls_names: self.tls_names.clone(),
            engine_labels: self.engine_labels.clone(),
        }
    }
}

impl fmt::Display for Acceleration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::Kvm => "kvm",
            Self::Hvf => "hvf",
            Self::Tcg => "tcg",
        })
    }
}

/// Not the name of an acceleration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not one of auto, kvm, hvf and tcg")]
pub struct UnknownAcceleration(String);

impl FromStr for Acceleration {
    type Err = UnknownAcceleration;

    fn from_str(text: &str) -> Result<Self, UnknownAcceleration> {
        [Self::Auto, Self::Kvm, Self::Hvf, Self::Tcg]
            .into_iter()
            .find(|acceleration| acceleration.to_string() == text)
            .ok_or_else(|| UnknownAcceleration(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Capacity = Capacity { cpus: 8, memory_mib: Some(8192), disk_mib: Some(100_000) };

    fn spec() -> MachineSpec {
        MachineSpec {
            cpus: 2,
            memory_mib: 1024,
            disk_size_mib: 20_000,
            acceleration: Acceleration::Auto,
            tls_names: Vec::new(),
            engine_labels: Vec::new(),
        }
    }

    #[test]
    fn what_the_host_has_is_granted() {
        assert_eq!(spec().check(&HOST), Ok(Vec::new()));
        let unknown = Capacity { memory_mib: None, disk_mib: None, ..HOST };
        assert_eq!(spec().check(&unknown), Ok(Vec::new()));
    }

    #[test]
    fn absurd_or_unavailable_sizes_are_refused() {
        let refused = |spec: MachineSpec| spec.check(&HOST).is_err();
        assert!(refused(MachineSpec { cpus: 0, ..spec() }));
        assert!(refused(MachineSpec { cpus: 9, ..spec() }));
        assert!(refused(MachineSpec { memory_mib: 255, ..spec() }));
        assert!(refused(MachineSpec { memory_mib: 8193, ..spec() }));
        assert!(refused(MachineSpec { disk_size_mib: 4095, ..spec() }));
        assert!(refused(MachineSpec { disk_size_mib: u64::MAX, ..spec() }));
        assert!(refused(MachineSpec { engine_labels: vec!["=x".into()], ..spec() }));
        assert!(refused(MachineSpec { tls_names: vec!["a b".into()], ..spec() }));
        let many = Capacity { cpus: 128, ..HOST };
        assert!(MachineSpec { cpus: 65, ..spec() }.check(&many).is_err());
    }

    #[test]
    fn a_disk_larger_than_the_room_left_is_daring_and_a_full_one_is_refused() {
        let little = Capacity { disk_mib: Some(5000), ..HOST };
        assert_eq!(spec().check(&little).unwrap().len(), 1);
        let full = Capacity { disk_mib: Some(1023), ..HOST };
        assert_eq!(spec().check(&full), Err(InvalidSpec::FullDisk { available_mib: 1023 }));
    }

    #[test]
    fn accelerations_are_named_as_on_the_command_line() {
        for name in ["auto", "kvm", "hvf", "tcg"] {
            assert_eq!(name.parse::<Acceleration>().unwrap().to_string(), name);
        }
        assert!("KVM!".parse::<Acceleration>().is_err());
    }
}
