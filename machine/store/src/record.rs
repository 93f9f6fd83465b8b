//! `machine.yaml`: what the user asked for. No paths, no state.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::atomic::{self, Access};
use crate::{Error, Ports};

const VERSION: u32 = 1;
const SIZE_LIMIT: u64 = 64 * 1024;

/// A machine as it is stored. Its name is its directory's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineRecord {
    pub driver: String,
    pub cpus: u32,
    pub memory_mib: u64,
    pub disk_size_mib: u64,
    pub acceleration: String,
    /// Fixed when the machine was created.
    pub ports: Ports,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tls_names: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub engine_labels: Vec<String>,
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
        if self.ports.api == 0 || self.ports.ssh == 0 {
            return Err(RecordError::Port);
        }
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
        if record.ports.api == 0 || record.ports.ssh == 0 {
            return Err(RecordError::Port);
        }
        Ok(record)
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
            engine_labels: Vec::new(),
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
        let none = text.replace("version: 1\n", "");
        assert!(matches!(MachineRecord::from_yaml(&none), Err(RecordError::NoVersion)));
        let zero = MachineRecord { ports: Ports { api: 0, ssh: 1 }, ..record() };
        assert!(matches!(zero.to_yaml(), Err(RecordError::Port)));
    }
}
