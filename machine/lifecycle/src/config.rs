//! A machine as it is written down by people: for `create -f`, `show` and `edit`.

use std::fmt;

use machine_store::{EngineRecord, MachineRecord, NO_DRIVER, SwarmRecord};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::driver::Acceleration;
use crate::spec::{DRIVER, DriverKind, MachineSpec};
use crate::{Error, InvalidSpec, MachineName};

/// What can be written down of a machine. A number or a text that is not there leaves the usual,
/// or what the machine has; a list that is not there is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MachineConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `qemu` or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// `tcp://HOST:PORT`, for the driver `none` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Size>,
    /// `auto`, `kvm`, `hvf` or `tcg`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acceleration: Option<String>,
    /// Names and addresses for the server's certificate, beside those it always has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tls_names: Vec<String>,
    #[serde(skip_serializing_if = "is_usual")]
    pub engine: EngineRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swarm: Option<SwarmRecord>,
}

/// An amount of memory or disk in units of 2^20 bytes, `MB` for short; written as a number, or with
/// a unit: `2GB`, `512MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Why a text is not a machine's configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be used")]
pub struct ConfigError(#[from] serde_yaml_ng::Error);

/// Not an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a size: write a number of MB, or a unit with it, such as 2GB or 512MB")]
pub struct InvalidSize(String);

impl MachineConfig {
    /// Errors name the key, the line and the column.
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        // A document without a content is no mistake of YAML's, but has nothing to say.
        let config: Option<Self> = serde_yaml_ng::from_str(text)?;
        Ok(config.unwrap_or_default())
    }

    pub fn to_yaml(&self) -> Result<String, ConfigError> {
        Ok(serde_yaml_ng::to_string(self)?)
    }

    /// A machine as it is.
    pub fn of(name: &MachineName, record: &MachineRecord) -> Self {
        let has_vm = record.driver != NO_DRIVER;
        Self {
            name: Some(name.to_string()),
            driver: Some(record.driver.clone()),
            url: record.url.clone(),
            cpus: has_vm.then_some(record.cpus),
            memory: has_vm.then_some(Size(record.memory_mib)),
            disk: has_vm.then_some(Size(record.disk_size_mib)),
            acceleration: has_vm.then(|| record.acceleration.clone()),
            tls_names: record.tls_names.clone(),
            engine: record.engine.clone(),
            swarm: record.swarm.clone(),
        }
    }

    /// A machine to create; what is not written down is as `usual`.
    pub fn to_spec(&self, usual: MachineSpec) -> Result<MachineSpec, InvalidSpec> {
        let driver = match (self.driver.as_deref(), &self.url) {
            (None, None) => usual.driver,
            (Some(DRIVER), None) => DriverKind::Qemu,
            (None | Some(NO_DRIVER), Some(url)) => DriverKind::None { url: url.clone() },
            (Some(NO_DRIVER), None) => return Err(InvalidSpec::NoUrl),
            (Some(DRIVER), Some(_)) => return Err(InvalidSpec::NeedlessUrl),
            (Some(other), _) => return Err(InvalidSpec::Driver(other.to_owned())),
        };
        let lists = |ours: &[String], usual: Vec<String>| {
            if ours.is_empty() { usual } else { ours.to_vec() }
        };
        Ok(MachineSpec {
            driver,
            cpus: self.cpus.unwrap_or(usual.cpus),
            memory_mib: self.memory.map_or(usual.memory_mib, |size| size.0),
            disk_size_mib: self.disk.map_or(usual.disk_size_mib, |size| size.0),
            acceleration: match &self.acceleration {
                Some(text) => acceleration(text)?,
                None => usual.acceleration,
            },
            tls_names: lists(&self.tls_names, usual.tls_names),
            engine: if is_usual(&self.engine) { usual.engine } else { self.engine.clone() },
            swarm: self.swarm.clone().or(usual.swarm),
        })
    }

    /// The record of an existing machine as it is to be; fails on what cannot change later.
    pub(crate) fn applied_to(
        &self,
        name: &MachineName,
        record: &MachineRecord,
    ) -> Result<MachineRecord, Error> {
        let fixed = |key: &'static str| Error::Fixed { name: name.clone(), key };
        if self.name.as_deref().is_some_and(|wanted| wanted != name.as_str()) {
            return Err(fixed("name"));
        }
        if self.driver.as_ref().is_some_and(|driver| *driver != record.driver) {
            return Err(fixed("driver"));
        }
        if self.url.is_some() && self.url != record.url {
            return Err(fixed("url"));
        }
        if let Some(text) = &self.acceleration {
            acceleration(text)?;
        }
        let accelerated = self.acceleration.as_ref().unwrap_or(&record.acceleration);
        Ok(MachineRecord {
            cpus: self.cpus.unwrap_or(record.cpus),
            memory_mib: self.memory.map_or(record.memory_mib, |size| size.0),
            disk_size_mib: self.disk.map_or(record.disk_size_mib, |size| size.0),
            acceleration: accelerated.clone(),
            tls_names: self.tls_names.clone(),
            engine: self.engine.clone(),
            swarm: self.swarm.clone(),
            ..record.clone()
        })
    }
}

fn acceleration(text: &str) -> Result<Acceleration, InvalidSpec> {
    text.parse().map_err(|_| InvalidSpec::Acceleration(text.to_owned()))
}

fn is_usual(engine: &EngineRecord) -> bool {
    *engine == EngineRecord::default()
}

impl std::str::FromStr for Size {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let invalid = || InvalidSize(text.to_owned());
        let trimmed = text.trim();
        let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits);
        let factor = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "m" | "mb" | "mib" => 1,
            "g" | "gb" | "gib" => 1024,
            "t" | "tb" | "tib" => 1024 * 1024,
            _ => return Err(invalid()),
        };
        let number: u64 = number.parse().map_err(|_| invalid())?;
        number.checked_mul(factor).map(Self).ok_or_else(invalid)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 != 0 && self.0.is_multiple_of(1024) {
            write!(f, "{}GB", self.0 / 1024)
        } else {
            write!(f, "{}MB", self.0)
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Amount;

        impl Visitor<'_> for Amount {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size: a number of MB, or a text such as 2GB")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Size, E> {
                Ok(Size(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Amount)
    }
}

#[cfg(test)]
mod tests;
