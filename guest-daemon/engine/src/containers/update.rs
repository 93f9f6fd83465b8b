//! `docker update`: which of a container's limits change, and what contradicts the others.

use super::task::Command;
use super::{Containers, ask, validate};
use crate::config::HostConfig;
use crate::error::{Error, Result};

impl Containers {
    /// Changes limits and the restart policy; what `change` leaves empty stays. Returns warnings.
    pub async fn update(&self, reference: &str, change: HostConfig) -> Result<Vec<String>> {
        let warnings = validate::check_update(&change, self.core.host.cpus)?;
        let handle = self.core.registry.find(reference)?;
        let change = Box::new(change);
        ask(&handle, |reply| Command::Update { change, reply }).await?;
        Ok(warnings)
    }
}

pub(super) fn apply(host: &mut HostConfig, change: &HostConfig) -> Result<()> {
    check(host, change)?;
    fn set<T: Default + PartialEq + Clone>(old: &mut T, new: &T) {
        if *new != T::default() {
            old.clone_from(new);
        }
    }
    fn set_list<T: Clone>(old: &mut Option<Vec<T>>, new: &Option<Vec<T>>) {
        if new.iter().flatten().next().is_some() {
            old.clone_from(new);
        }
    }
    set(&mut host.blkio_weight, &change.blkio_weight);
    set_list(&mut host.blkio_weight_device, &change.blkio_weight_device);
    set_list(&mut host.blkio_device_read_bps, &change.blkio_device_read_bps);
    set_list(&mut host.blkio_device_write_bps, &change.blkio_device_write_bps);
    set_list(&mut host.blkio_device_read_iops, &change.blkio_device_read_iops);
    set_list(&mut host.blkio_device_write_iops, &change.blkio_device_write_iops);
    set(&mut host.cpu_shares, &change.cpu_shares);
    set(&mut host.nano_cpus, &change.nano_cpus);
    set(&mut host.cpu_period, &change.cpu_period);
    set(&mut host.cpu_quota, &change.cpu_quota);
    set(&mut host.cpuset_cpus, &change.cpuset_cpus);
    set(&mut host.cpuset_mems, &change.cpuset_mems);
    set(&mut host.memory, &change.memory);
    set(&mut host.memory_swap, &change.memory_swap);
    set(&mut host.memory_reservation, &change.memory_reservation);
    set(&mut host.pids_limit, &change.pids_limit);
    if !change.restart_policy.name.is_empty() {
        host.restart_policy = change.restart_policy.clone();
    }
    Ok(())
}

/// A number of CPUs is a quota by another name, so the two exclude each other.
fn check(host: &HostConfig, change: &HostConfig) -> Result<()> {
    let policy = change.restart_policy.name.as_str();
    let conflicts = [
        (
            change.nano_cpus > 0 && host.cpu_period > 0,
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        ),
        (
            change.nano_cpus > 0 && host.cpu_quota > 0,
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
        ),
        (
            change.cpu_period > 0 && host.nano_cpus > 0,
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
        ),
        (
            change.cpu_quota > 0 && host.nano_cpus > 0,
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
        (
            change.memory > host.memory_swap && change.memory != 0 && change.memory_swap == 0,
            "Memory limit should be smaller than already set memoryswap limit, update the \
             memoryswap at the same time",
        ),
        (
            host.auto_remove && !matches!(policy, "" | "no"),
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
        ),
    ];
    match conflicts.iter().find(|(conflict, _)| *conflict) {
        Some((_, text)) => Err(Error::conflict(*text)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_stays() {
        let mut host = HostConfig {
            memory: 64 << 20,
            memory_swap: 128 << 20,
            cpu_shares: 512,
            ..HostConfig::default()
        };
        let change = HostConfig {
            memory: 32 << 20,
            pids_limit: Some(0),
            cpuset_cpus: "0".into(),
            ..HostConfig::default()
        };
        apply(&mut host, &change).unwrap();
        assert_eq!((host.memory, host.memory_swap, host.cpu_shares), (32 << 20, 128 << 20, 512));
        assert_eq!((host.pids_limit, &*host.cpuset_cpus), (Some(0), "0"));
    }

    #[test]
    fn what_contradicts_the_other_limits_is_refused() {
        let mut host = HostConfig {
            cpu_quota: 50_000,
            memory_swap: 128 << 20,
            auto_remove: true,
            ..HostConfig::default()
        };
        for change in [
            HostConfig { nano_cpus: 1_000_000_000, ..HostConfig::default() },
            HostConfig { memory: 256 << 20, ..HostConfig::default() },
            HostConfig {
                restart_policy: crate::config::RestartPolicy {
                    name: "always".into(),
                    ..Default::default()
                },
                ..HostConfig::default()
            },
        ] {
            let error = apply(&mut host, &change).unwrap_err();
            assert_eq!(error.kind(), crate::Kind::Conflict);
        }
        assert_eq!(host.nano_cpus, 0);
    }
}
