//! What a user asks for, and whether this host can give it.

use std::fmt;
use std::str::FromStr;

use machine_store::{EngineRecord, MachineRecord, NO_DRIVER, Ports, SwarmRecord};

use crate::driver::Acceleration;
use crate::elsewhere::host_and_port;
use crate::{Capacity, engine_options};

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

/// Who runs a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DriverKind {
    #[default]
    Qemu,
    /// Nobody here: a Docker host elsewhere, `tcp://HOST:PORT`, that trusts this CA.
    None { url: String },
}

/// The machine to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineSpec {
    pub driver: DriverKind,
    pub cpus: u32,
    pub memory_mib: u64,
    pub disk_size_mib: u64,
    pub acceleration: Acceleration,
    /// Names and addresses for the server's certificate, beside those it always has.
    pub tls_names: Vec<String>,
    pub engine: EngineRecord,
    pub swarm: Option<SwarmRecord>,
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
    #[error(
        "the disk has {now_mib} MB and cannot have {wanted_mib} MB: a disk grows, it never shrinks"
    )]
    SmallerDisk { now_mib: u64, wanted_mib: u64 },
    #[error("{0:?} is not a label of the form KEY=VALUE")]
    Label(String),
    #[error("{0:?} is not a variable of the form KEY=VALUE")]
    Variable(String),
    #[error("{0:?} is not a registry mirror's URL, such as https://mirror.example")]
    Mirror(String),
    #[error("{0:?} is neither a registry of the form HOST[:PORT] nor a network such as 10.0.0.0/8")]
    Registry(String),
    #[error("{0:?} is not an engine option of the form KEY[=VALUE], without dashes before it")]
    EngineOption(String),
    #[error("there is no storage driver {0:?}: overlay2 is the one there is")]
    StorageDriver(String),
    #[error("Swarm Discovery URL was in the wrong format: {0}")]
    Discovery(String),
    #[error("there is no driver {0:?}: qemu and none are the ones there are")]
    Driver(String),
    #[error("the driver none needs a url")]
    NoUrl,
    #[error("a url is for the driver none only")]
    NeedlessUrl,
    #[error("{0:?} is not a URL of the form tcp://HOST:PORT")]
    Url(String),
    #[error("{0:?} is not one of auto, kvm, hvf and tcg")]
    Acceleration(String),
    #[error("{0:?} is neither a host name nor an address")]
    TlsName(String),
}

impl InvalidSpec {
    /// Whether it makes no sense on any host.
    pub fn is_malformed(&self) -> bool {
        !matches!(
            self,
            Self::Cpus { .. }
                | Self::LittleMemory { .. }
                | Self::MuchMemory { .. }
                | Self::DiskSize { .. }
                | Self::FullDisk { .. }
        )
    }
}

impl MachineSpec {
    /// Refuses what is absurd or not available; answers with warnings about what is daring.
    pub fn check(&self, host: &Capacity) -> Result<Vec<String>, InvalidSpec> {
        check_texts(&self.tls_names, &self.engine, self.swarm.as_ref())?;
        if let DriverKind::None { url } = &self.driver {
            let is_url = host_and_port(url).is_some();
            return if is_url { Ok(Vec::new()) } else { Err(InvalidSpec::Url(url.clone())) };
        }
        check_cpus(self.cpus, host)?;
        check_memory(self.memory_mib, 0, host)?;
        let wanted_mib = self.disk_size_mib;
        check_disk(wanted_mib)?;
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

    pub(crate) fn to_record(&self, ports: Ports) -> MachineRecord {
        let (driver, url) = match &self.driver {
            DriverKind::Qemu => (DRIVER, None),
            DriverKind::None { url } => (NO_DRIVER, Some(url.clone())),
        };
        let mut tls_names = self.tls_names.clone();
        if let Some((host, _)) = url.as_deref().and_then(host_and_port) {
            let host = host.trim_matches(['[', ']']).to_owned();
            if !tls_names.contains(&host) {
                tls_names.push(host);
            }
        }
        MachineRecord {
            driver: driver.to_owned(),
            url,
            cpus: self.cpus,
            memory_mib: self.memory_mib,
            disk_size_mib: self.disk_size_mib,
            acceleration: self.acceleration.to_string(),
            ports,
            tls_names,
            engine: self.engine.clone(),
            swarm: self.swarm.clone(),
        }
    }
}

pub(crate) fn check_cpus(wanted: u32, host: &Capacity) -> Result<(), InvalidSpec> {
    let most = host.cpus.min(MOST_CPUS);
    if (1..=most).contains(&wanted) { Ok(()) } else { Err(InvalidSpec::Cpus { wanted, most }) }
}

/// `used_mib` is what the machine has already and gives back.
pub(crate) fn check_memory(
    wanted_mib: u64,
    used_mib: u64,
    host: &Capacity,
) -> Result<(), InvalidSpec> {
    if wanted_mib < LEAST_MEMORY_MIB {
        return Err(InvalidSpec::LittleMemory { wanted_mib });
    }
    let available = host.memory_mib.map(|free| free.saturating_add(used_mib));
    match available.filter(|available| *available < wanted_mib) {
        Some(available_mib) => Err(InvalidSpec::MuchMemory { wanted_mib, available_mib }),
        None => Ok(()),
    }
}

pub(crate) fn check_disk(wanted_mib: u64) -> Result<(), InvalidSpec> {
    if (LEAST_DISK_MIB..=MOST_DISK_MIB).contains(&wanted_mib) {
        Ok(())
    } else {
        Err(InvalidSpec::DiskSize { wanted_mib })
    }
}

pub(crate) fn check_texts(
    tls_names: &[String],
    engine: &EngineRecord,
    swarm: Option<&SwarmRecord>,
) -> Result<(), InvalidSpec> {
    engine_options::check(engine)?;
    swarm.map_or(Ok(()), engine_options::check_swarm)?;
    let is_name = |name: &String| {
        !name.is_empty()
            && name.len() <= 253
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._*:".contains(&byte))
    };
    match tls_names.iter().find(|name| !is_name(name)) {
        Some(bad) => Err(InvalidSpec::TlsName(bad.clone())),
        None => Ok(()),
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
            driver: DriverKind::Qemu,
            cpus: 2,
            memory_mib: 1024,
            disk_size_mib: 20_000,
            acceleration: Acceleration::Auto,
            tls_names: Vec::new(),
            engine: EngineRecord::default(),
            swarm: None,
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
        assert!(refused(MachineSpec {
            engine: EngineRecord { labels: vec!["=x".into()], ..EngineRecord::default() },
            ..spec()
        }));
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
    fn a_host_elsewhere_needs_its_url_and_nothing_of_this_host() {
        let elsewhere = |url: &str| MachineSpec {
            driver: DriverKind::None { url: url.into() },
            cpus: 0,
            memory_mib: 0,
            disk_size_mib: 0,
            ..spec()
        };
        assert_eq!(elsewhere("tcp://docker.example:2376").check(&HOST), Ok(Vec::new()));
        let refused = elsewhere("https://docker.example").check(&HOST);
        assert_eq!(refused, Err(InvalidSpec::Url("https://docker.example".into())));
        let record = elsewhere("tcp://[::1]:2376").to_record(Ports::default());
        assert_eq!((record.driver.as_str(), record.tls_names), ("none", vec!["::1".to_owned()]));
    }

    #[test]
    fn memory_that_a_machine_has_already_is_available_to_it() {
        assert!(check_memory(9000, 0, &HOST).is_err());
        assert!(check_memory(9000, 1024, &HOST).is_ok());
    }

    #[test]
    fn accelerations_are_named_as_on_the_command_line() {
        for name in ["auto", "kvm", "hvf", "tcg"] {
            assert_eq!(name.parse::<Acceleration>().unwrap().to_string(), name);
        }
        assert!("KVM!".parse::<Acceleration>().is_err());
    }
}
