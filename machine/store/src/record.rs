//! `machine.yaml`: what the user asked for. No paths, no state.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::atomic::{self, Access};
use crate::{Error, Ports};

/// The driver of a Docker host that somebody else runs.
pub const NO_DRIVER: &str = "none";

const VERSION: u32 = 1;
const SIZE_LIMIT: u64 = 64 * 1024;

/// A machine as it is stored. Its name is its directory's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineRecord {
    /// `qemu`, or `none` for a Docker host that somebody else runs.
    pub driver: String,
    /// `tcp://HOST:PORT`, for the driver `none` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    pub cpus: u32,
    pub memory_mib: u64,
    pub disk_size_mib: u64,
    pub acceleration: String,
    /// Fixed when the machine was created; none for the driver `none`.
    #[serde(default, skip_serializing_if = "Ports::are_none")]
    pub ports: Ports,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tls_names: Vec<String>,
    #[serde(default, skip_serializing_if = "EngineRecord::is_default")]
    pub engine: EngineRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swarm: Option<SwarmRecord>,
}

/// Options of the container engine, as `machine create --engine-…` gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineRecord {
    /// `KEY=VALUE` each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// `KEY=VALUE` each: variables of the daemon's environment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub insecure_registries: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub registry_mirrors: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_driver: Option<String>,
    /// dockerd's options without their dashes: `KEY=VALUE`, or `KEY` alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Kept and shown, otherwise without a meaning: nothing is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install_url: Option<String>,
}

/// What docker-machine was told of a classic Swarm: kept, shown, and used to filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SwarmRecord {
    pub is_master: bool,
    pub discovery: String,
    pub strategy: String,
    pub host: String,
    pub address: String,
    pub image: String,
    pub experimental: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub join_options: Vec<String>,
}

impl EngineRecord {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("it was written by a newer version of this program (format {0})")]
    Newer(u32),
    #[error("it has no version")]
    NoVersion,
    #[error("it is not what it should be")]
    Yaml(#[from] serde_yaml_ng::Error),
    #[error("a port is 0")]
    Port,
}

#[derive(Deserialize)]
struct Version {
    version: Option<u32>,
}

impl MachineRecord {
    pub(crate) fn to_yaml(&self) -> Result<String, RecordError> {
        self.check_ports()?;
        Ok(format!("version: {VERSION}\n{}", serde_yaml_ng::to_string(self)?))
    }

    fn from_yaml(text: &str) -> Result<Self, RecordError> {
        // First the version alone: a newer format may not even parse as this one.
        match serde_yaml_ng::from_str::<Version>(text)?.version {
            None => return Err(RecordError::NoVersion),
            Some(VERSION) => {}
            Some(newer) => return Err(RecordError::Newer(newer)),
        }
        let mut fields: serde_yaml_ng::Mapping = serde_yaml_ng::from_str(text)?;
        fields.remove("version");
        let record: Self = serde_yaml_ng::from_value(fields.into())?;
        record.check_ports()?;
        Ok(record)
    }

    fn check_ports(&self) -> Result<(), RecordError> {
        let none = self.driver == NO_DRIVER && self.ports.are_none();
        if none || (self.ports.api != 0 && self.ports.ssh != 0) {
            Ok(())
        } else {
            Err(RecordError::Port)
        }
    }
}

pub(crate) fn read(path: &Path) -> Result<MachineRecord, Error> {
    let text = atomic::read(path, SIZE_LIMIT)?;
    MachineRecord::from_yaml(&text)
        .map_err(|source| Error::Record { path: path.to_owned(), source })
}

pub(crate) fn write_new(path: &Path, record: &MachineRecord) -> Result<(), Error> {
    let text =
        record.to_yaml().map_err(|source| Error::Record { path: path.to_owned(), source })?;
    atomic::write_new(path, text.as_bytes(), Access::Owner)
}

/// Puts a record in the place of another.
pub(crate) fn replace(path: &Path, record: &MachineRecord) -> Result<(), Error> {
    let text =
        record.to_yaml().map_err(|source| Error::Record { path: path.to_owned(), source })?;
    atomic::write(path, text.as_bytes(), Access::Owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> MachineRecord {
        MachineRecord {
            driver: "qemu".into(),
            cpus: 2,
            memory_mib: 1024,
            disk_size_mib: 20_000,
            acceleration: "auto".into(),
            ports: Ports { api: 23_000, ssh: 24_000 },
            tls_names: vec!["dev.example".into()],
            url: None,
            engine: EngineRecord::default(),
            swarm: None,
        }
    }

    #[test]
    fn the_stored_form_is_stable() {
        let text = record().to_yaml().unwrap();
        assert_eq!(
            text,
            "version: 1\ndriver: qemu\ncpus: 2\nmemory_mib: 1024\ndisk_size_mib: 20000\n\
             acceleration: auto\nports:\n  api: 23000\n  ssh: 24000\ntls_names:\n- dev.example\n"
        );
        assert_eq!(MachineRecord::from_yaml(&text).unwrap(), record());
    }

    #[test]
    fn newer_versions_unknown_fields_and_port_zero_are_refused() {
        let text = record().to_yaml().unwrap();
        let newer = text.replace("version: 1", "version: 9");
        assert!(matches!(MachineRecord::from_yaml(&newer), Err(RecordError::Newer(9))));
        let unknown = format!("{text}colour: red\n");
        assert!(matches!(MachineRecord::from_yaml(&unknown), Err(RecordError::Yaml(_))));
        let zero = text.replace("23000", "0");
        assert!(matches!(MachineRecord::from_yaml(&zero), Err(RecordError::Port)));
        let elsewhere = MachineRecord {
            driver: "none".into(),
            url: Some("tcp://docker.example:2376".into()),
            ports: Ports::default(),
            ..record()
        };
        let stored = elsewhere.to_yaml().unwrap();
        assert_eq!(MachineRecord::from_yaml(&stored).unwrap(), elsewhere);
        let none = text.replace("version: 1\n", "");
        assert!(matches!(MachineRecord::from_yaml(&none), Err(RecordError::NoVersion)));
        let zero = MachineRecord { ports: Ports { api: 0, ssh: 1 }, ..record() };
        assert!(matches!(zero.to_yaml(), Err(RecordError::Port)));
    }
}
