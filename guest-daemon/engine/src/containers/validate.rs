//! What is refused when a container is created, and what is only warned of, in dockerd's words.

use crate::config::{ContainerConfig, HostConfig, Ulimit};
use crate::error::{Error, Result};
use crate::settings::ContainerDefaults;

use super::{devices, files, health, links, modes, ports, restart, security, signals};

/// The least memory a container can be given.
const LEAST_MEMORY: i64 = 6 << 20;

const ULIMITS: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Checks a request; returns warnings.
pub(super) fn check(
    config: &ContainerConfig,
    host: &HostConfig,
    defaults: &ContainerDefaults,
    cpus: usize,
) -> Result<Vec<String>> {
    config_fields(config)?;
    restart::check(&host.restart_policy, host.auto_remove)?;
    crate::logs::check(&host.log_config)?;
    security::capabilities(host)?;
    security::options(host)?;
    modes::network(config, host)?;
    modes::pid(host)?;
    modes::ipc(host)?;
    modes::uts(host)?;
    modes::cgroup(host)?;
    ports::wanted(config, host)?;
    files::extra_hosts(host)?;
    devices::check(host)?;
    links::check(host)?;
    not_here(host)?;
    resources(host, cpus)?;
    if host.memory == 0 && host.memory_swap > 0 {
        return refuse(
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        );
    }
    limits(host)?;
    if modes::remapped(host, defaults) {
        with_remapped_users(host)?;
    }
    names(host)?;
    Ok(warnings(config, host))
}

/// Checks other limits for a container that exists; returns warnings.
pub(super) fn check_update(change: &HostConfig, cpus: usize) -> Result<Vec<String>> {
    restart::check(&change.restart_policy, change.auto_remove)?;
    resources(change, cpus)?;
    let mut warnings = discarded(change);
    let fixed = [
        (change.devices.iter().flatten().next().is_some(), "Devices"),
        (change.device_cgroup_rules.iter().flatten().next().is_some(), "DeviceCgroupRules"),
        (change.ulimits.iter().flatten().next().is_some(), "Ulimits"),
        (!change.cgroup_parent.is_empty(), "CgroupParent"),
    ];
    let asked = fixed.iter().filter(|(asked, _)| *asked);
    warnings.extend(asked.map(|(_, name)| format!("{name} cannot be updated. Value discarded.")));
    Ok(warnings)
}

fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::invalid(text))
}

fn config_fields(config: &ContainerConfig) -> Result<()> {
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return refuse(format!(
            "the working directory '{}' is invalid, it needs to be an absolute path",
            config.working_dir
        ));
    }
    if let Some(bad) = config.env.iter().find(|entry| entry.is_empty() || entry.starts_with('=')) {
        return refuse(format!("invalid environment variable: {bad}"));
    }
    if let Some(signal) = config.stop_signal.as_deref().filter(|signal| !signal.is_empty()) {
        signals::parse(signal)?;
    }
    for port in &config.exposed_ports {
        ports::parse(port)?;
    }
    config.healthcheck.as_ref().map_or(Ok(()), health::check)
}

/// What a user would otherwise believe to be in force.
fn not_here(host: &HostConfig) -> Result<()> {
    if !matches!(host.userns_mode.as_str(), "" | "host") {
        return refuse(format!("invalid user namespace mode: {}", host.userns_mode));
    }
    if !host.storage_opt.is_empty() {
        return Err(Error::new(
            crate::Kind::Internal,
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        ));
    }
    match host.runtime.as_str() {
        "" | "runc" | "io.containerd.runc.v2" => {}
        other => return refuse(format!("unknown or invalid runtime name: {other}")),
    }
    match host.isolation.as_str() {
        "" | "default" => Ok(()),
        other => refuse(format!("invalid isolation ({other}): linux only supports 'default'")),
    }
}

/// What would be the guest's root's again.
fn with_remapped_users(host: &HostConfig) -> Result<()> {
    if host.privileged {
        return refuse(
            "privileged mode is incompatible with user namespaces.  You must run the container in \
             the host namespace when running privileged mode",
        );
    }
    if host.network_mode == "host" {
        return refuse(
            "cannot share the host's network namespace when user namespaces are enabled",
        );
    }
    if host.pid_mode == "host" {
        return refuse("cannot share the host PID namespace when user namespaces are enabled");
    }
    Ok(())
}

fn resources(host: &HostConfig, cpus: usize) -> Result<()> {
    if host.memory != 0 && host.memory < LEAST_MEMORY {
        return refuse("Minimum memory limit allowed is 6MB");
    }
    if host.memory > 0 && host.memory_swap > 0 && host.memory_swap < host.memory {
        return refuse("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if host.memory_reservation != 0 && host.memory_reservation < LEAST_MEMORY {
        return refuse("Minimum memory reservation allowed is 6MB");
    }
    if host.memory > 0 && host.memory_reservation > host.memory {
        return refuse(
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        );
    }
    if host.nano_cpus != 0 {
        if host.cpu_period != 0 {
            return refuse("Conflicting options: Nano CPUs and CPU Period cannot both be set");
        }
        if host.cpu_quota != 0 {
            return refuse("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
        }
        let most = i64::try_from(cpus).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        if host.nano_cpus < 0 || host.nano_cpus > most {
            return refuse(format!(
                "range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
            ));
        }
    }
    if host.cpu_period != 0 && !(1_000..=1_000_000).contains(&host.cpu_period) {
        return refuse(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if host.cpu_quota > 0 && host.cpu_quota < 1_000 {
        return refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    if host.cpu_shares < 0 {
        return refuse(format!(
            "invalid CPU shares ({}): value must be a positive integer",
            host.cpu_shares
        ));
    }
    if host.io_maximum_bandwidth != 0 || host.io_maximum_iops != 0 {
        return refuse(
            "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps",
        );
    }
    if host.blkio_weight != 0 && !(10..=1000).contains(&host.blkio_weight) {
        return refuse("Range of blkio weight is from 10 to 1000");
    }
    set_of(&host.cpuset_cpus, cpus, "cpus", "CPUs")?;
    // The guest has one node of memory.
    set_of(&host.cpuset_mems, 1, "mems", "memory nodes")
}

/// `0-2,4`, of so many.
fn set_of(text: &str, count: usize, field: &str, what: &str) -> Result<()> {
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let range = (first.trim().parse::<usize>(), last.trim().parse::<usize>());
        match range {
            (Ok(first), Ok(last)) if first <= last && last < count => {}
            (Ok(first), Ok(last)) if first <= last => {
                let last = count.saturating_sub(1);
                let available = if last == 0 { "0".to_owned() } else { format!("0-{last}") };
                return refuse(format!(
                    "Requested {what} are not available - requested {text}, available: {available}"
                ));
            }
            _ => {
                return refuse(format!(
                    "Invalid value {text} for cpuset {field}: invalid format: {text}"
                ));
            }
        }
    }
    Ok(())
}

fn limits(host: &HostConfig) -> Result<()> {
    if host.shm_size < 0 {
        return refuse("SHM size can not be less than 0");
    }
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        return refuse(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            host.oom_score_adj
        ));
    }
    host.ulimits.iter().flatten().try_for_each(ulimit)
}

pub(crate) fn ulimit(limit: &Ulimit) -> Result<()> {
    if !ULIMITS.contains(&limit.name.as_str()) {
        return refuse(format!("invalid ulimit type: {}", limit.name));
    }
    if limit.hard != -1 && (limit.soft > limit.hard || limit.soft == -1) {
        return refuse(format!(
            "ulimit soft limit must be less than or equal to hard limit: {} > {}",
            limit.soft, limit.hard
        ));
    }
    Ok(())
}

fn names(host: &HostConfig) -> Result<()> {
    let mut servers = host.dns.iter().flatten();
    if let Some(bad) = servers.find(|dns| dns.parse::<std::net::IpAddr>().is_err()) {
        return refuse(format!("invalid DNS address: {bad}"));
    }
    let broken = host.sysctls.keys().find(|name| !name.contains('.') && !name.contains('/'));
    if let Some(name) = broken {
        return refuse(format!("invalid sysctl: {name}"));
    }
    Ok(())
}

fn warnings(config: &ContainerConfig, host: &HostConfig) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(health::warning(config));
    let images = host.mounts.iter().filter(|mount| mount.kind == "image");
    // dockerd's words, which users of it know.
    warnings.extend(images.map(|_| "Image mount is an experimental feature".to_owned()));
    warnings.extend(discarded(host));
    warnings.extend(security::warnings(host));
    let ports_asked = host.publish_all_ports || ports::any(host);
    if host.network_mode == "host" && ports_asked {
        warnings.push("Published ports are discarded when using host network mode".into());
    }
    warnings
}

/// Limits that version 2 of control groups does not have.
fn discarded(host: &HostConfig) -> Vec<String> {
    let mut warnings = Vec::new();
    if host.kernel_memory > 0 {
        warnings.push(
            "Your kernel does not support kernel memory limit capabilities or the cgroup is not \
             mounted. Limitation discarded."
                .into(),
        );
    }
    if host.kernel_memory_tcp > 0 {
        warnings.push(
            "Your kernel does not support limits of memory for TCP. Limitation discarded.".into(),
        );
    }
    if host.memory_swappiness.is_some_and(|value| value >= 0) {
        warnings.push(
            "Your kernel does not support memory swappiness capabilities or the cgroup is not \
             mounted. Memory swappiness discarded."
                .into(),
        );
    }
    if host.oom_kill_disable == Some(true) {
        warnings
            .push("Your kernel does not support OomKillDisable. OomKillDisable discarded.".into());
    }
    if host.cpu_realtime_period != 0 || host.cpu_realtime_runtime != 0 {
        warnings.push(
            "Your kernel does not support CPU real-time scheduling. Real-time limits discarded."
                .into(),
        );
    }
    if host.cpu_percent > 0 {
        warnings.push("linux does not support CPU percent. Percent discarded.".into());
    }
    if host.cpu_count > 0 {
        warnings.push("linux does not support CPU count. Count discarded.".into());
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(host: &HostConfig) -> String {
        check(&ContainerConfig::default(), host, &ContainerDefaults::default(), 2)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn limits_out_of_range_are_refused_in_dockers_words() {
        let plain = HostConfig::default;
        assert!(
            check(&ContainerConfig::default(), &plain(), &ContainerDefaults::default(), 2)
                .unwrap()
                .is_empty()
        );
        for (host, text) in [
            (HostConfig { memory: 1 << 20, ..plain() }, "Minimum memory limit allowed is 6MB"),
            (
                HostConfig { nano_cpus: 3_000_000_000, ..plain() },
                "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
            ),
            (
                HostConfig { cpuset_cpus: "0-3".into(), ..plain() },
                "Requested CPUs are not available - requested 0-3, available: 0-1",
            ),
            (
                HostConfig { cpuset_mems: "1".into(), ..plain() },
                "Requested memory nodes are not available - requested 1, available: 0",
            ),
            (
                HostConfig { cpuset_cpus: "0,x".into(), ..plain() },
                "Invalid value 0,x for cpuset cpus: invalid format: 0,x",
            ),
            (
                HostConfig { oom_score_adj: 2000, ..plain() },
                "Invalid value 2000, range for oom score adj is [-1000, 1000]",
            ),
        ] {
            assert_eq!(refused(&host), text);
        }
    }

    #[test]
    fn users_that_are_others_exclude_what_is_the_guest_s() {
        let defaults = ContainerDefaults { userns_remap: true, ..ContainerDefaults::default() };
        let with = |host: &HostConfig| check(&ContainerConfig::default(), host, &defaults, 2);
        let privileged = HostConfig { privileged: true, ..HostConfig::default() };
        assert!(with(&privileged).unwrap_err().to_string().starts_with("privileged mode is"));
        let host = HostConfig { network_mode: "host".into(), ..HostConfig::default() };
        with(&host).unwrap_err();
        with(&HostConfig { userns_mode: "host".into(), ..privileged }).unwrap();
        let odd = HostConfig { userns_mode: "mine".into(), ..HostConfig::default() };
        assert_eq!(with(&odd).unwrap_err().to_string(), "invalid user namespace mode: mine");
    }

    #[test]
    fn what_is_not_here_is_refused() {
        let storage = [("size".to_owned(), "1g".to_owned())].into();
        let text =
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option";
        assert_eq!(refused(&HostConfig { storage_opt: storage, ..HostConfig::default() }), text);
        let host = HostConfig { io_maximum_iops: 1, ..HostConfig::default() };
        assert!(refused(&host).starts_with("Invalid QoS settings"));
    }

    #[test]
    fn what_is_only_warned_of_is_not_passed_over_in_silence() {
        let host = HostConfig {
            cpu_percent: 5,
            cpu_realtime_period: 7,
            kernel_memory: 8 << 20,
            kernel_memory_tcp: 8 << 20,
            ..HostConfig::default()
        };
        let warnings = check(&ContainerConfig::default(), &host, &ContainerDefaults::default(), 2);
        assert_eq!(warnings.unwrap().len(), 4);
    }
}
