//! `--network`, `--pid`, `--ipc`, `--uts`, `--cgroupns`: what their words mean.

use crate::config::{ContainerConfig, HostConfig};
use crate::error::{Error, Result};
use crate::ports::SharedMemory;
use crate::settings::ContainerDefaults;

/// Which network a container is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NetworkMode {
    Bridge,
    None,
    Host,
    /// That of another container, as the user named it.
    Container(String),
}

pub(crate) fn network(config: &ContainerConfig, host: &HostConfig) -> Result<NetworkMode> {
    if config.network_disabled {
        return Ok(NetworkMode::None);
    }
    match host.network_mode.as_str() {
        "" | "default" | "bridge" => Ok(NetworkMode::Bridge),
        "none" => Ok(NetworkMode::None),
        "host" => Ok(NetworkMode::Host),
        other => match other.strip_prefix("container:") {
            Some("") => Err(Error::invalid(
                "invalid network mode: invalid container format container:<name|id>",
            )),
            Some(container) => Ok(NetworkMode::Container(container.to_owned())),
            None => Err(Error::not_found(format!("network {other} not found"))),
        },
    }
}

/// Whose namespace of another kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    Own,
    Host,
    Container(String),
}

pub(crate) fn pid(host: &HostConfig) -> Result<Sharing> {
    share(&host.pid_mode, &["", "private"], "PID")
}

pub(crate) fn ipc(host: &HostConfig) -> Result<Sharing> {
    share(&host.ipc_mode, &["", "private", "shareable", "none"], "IPC")
}

/// What is at /dev/shm when the IPC namespace is the container's own.
pub(crate) fn shared_memory(host: &HostConfig) -> SharedMemory {
    match host.ipc_mode.as_str() {
        "shareable" => SharedMemory::Shareable,
        "none" => SharedMemory::Absent,
        _ => SharedMemory::Private,
    }
}

pub(crate) fn uts(host: &HostConfig) -> Result<Sharing> {
    match host.uts_mode.as_str() {
        "" => Ok(Sharing::Own),
        "host" => Ok(Sharing::Host),
        other => Err(Error::invalid(format!("invalid UTS mode: {other}"))),
    }
}

pub(crate) fn cgroup(host: &HostConfig) -> Result<Sharing> {
    match host.cgroupns_mode.as_str() {
        "" | "private" => Ok(Sharing::Own),
        "host" => Ok(Sharing::Host),
        other => Err(Error::invalid(format!("invalid cgroup namespace mode: {other}"))),
    }
}

/// Whether the container's users are others in the guest.
pub(crate) fn remapped(host: &HostConfig, defaults: &ContainerDefaults) -> bool {
    defaults.userns_remap && host.userns_mode != "host"
}

fn share(mode: &str, own: &[&str], kind: &str) -> Result<Sharing> {
    match mode {
        mode if own.contains(&mode) => Ok(Sharing::Own),
        "host" => Ok(Sharing::Host),
        other => match other.strip_prefix("container:") {
            Some(container) if !container.is_empty() => {
                Ok(Sharing::Container(container.to_owned()))
            }
            _ => Err(Error::invalid(format!("invalid {kind} mode: {other}"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_modes_are_understood() {
        let mode = |mode: &str| {
            let host = HostConfig { network_mode: mode.into(), ..HostConfig::default() };
            network(&ContainerConfig::default(), &host)
        };
        for bridge in ["", "default", "bridge"] {
            assert_eq!(mode(bridge).unwrap(), NetworkMode::Bridge);
        }
        assert_eq!(mode("container:x").unwrap(), NetworkMode::Container("x".into()));
        assert_eq!(mode("mine").unwrap_err().to_string(), "network mine not found");
        assert_eq!(mode("mine").unwrap_err().kind(), crate::Kind::NotFound);
        assert!(mode("container:").is_err());
    }
}
