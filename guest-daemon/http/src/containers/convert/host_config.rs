//! `HostConfig`, both ways.

use std::collections::BTreeMap;

use engine::config::{HostConfig, LogConfig, PortBinding, RestartPolicy, Ulimit};
use engine_api::host_config as api;

use super::{devices, mounts};
use crate::error::HttpError;

/// What the engine has no word for is refused rather than forgotten.
pub(crate) fn from_api(host: api::HostConfig) -> Result<HostConfig, HttpError> {
    refuse_unknown(&host)?;
    Ok(HostConfig {
        binds: host.binds,
        container_id_file: host.container_id_file,
        log_config: LogConfig {
            driver: host.log_config.kind,
            options: host.log_config.config.unwrap_or_default(),
        },
        network_mode: host.network_mode,
        port_bindings: port_bindings_from_api(host.port_bindings),
        restart_policy: RestartPolicy {
            name: host.restart_policy.name,
            maximum_retry_count: host.restart_policy.maximum_retry_count,
        },
        auto_remove: host.auto_remove,
        volume_driver: host.volume_driver,
        volumes_from: host.volumes_from,
        console_size: host.console_size,
        annotations: host.annotations.unwrap_or_default(),
        mounts: mounts::requests_from_api(host.mounts)?,
        cap_add: host.cap_add,
        cap_drop: host.cap_drop,
        cgroupns_mode: host.cgroupns_mode,
        dns: host.dns,
        dns_options: host.dns_options,
        dns_search: host.dns_search,
        extra_hosts: host.extra_hosts,
        group_add: host.group_add,
        ipc_mode: host.ipc_mode,
        links: host.links,
        oom_score_adj: host.oom_score_adj,
        pid_mode: host.pid_mode,
        privileged: host.privileged,
        publish_all_ports: host.publish_all_ports,
        readonly_rootfs: host.readonly_rootfs,
        security_opt: host.security_opt,
        storage_opt: host.storage_opt.unwrap_or_default(),
        tmpfs: host.tmpfs.unwrap_or_default(),
        uts_mode: host.uts_mode,
        userns_mode: host.userns_mode,
        shm_size: host.shm_size,
        sysctls: host.sysctls.unwrap_or_default(),
        runtime: host.runtime,
        isolation: host.isolation,
        cpu_shares: host.cpu_shares,
        memory: host.memory,
        nano_cpus: host.nano_cpus,
        cgroup_parent: host.cgroup_parent,
        blkio_weight: host.blkio_weight,
        blkio_weight_device: devices::weights_from_api(host.blkio_weight_device),
        blkio_device_read_bps: devices::throttles_from_api(host.blkio_device_read_bps),
        blkio_device_write_bps: devices::throttles_from_api(host.blkio_device_write_bps),
        blkio_device_read_iops: devices::throttles_from_api(host.blkio_device_read_iops),
        blkio_device_write_iops: devices::throttles_from_api(host.blkio_device_write_iops),
        cpu_period: host.cpu_period,
        cpu_quota: host.cpu_quota,
        cpu_realtime_period: host.cpu_realtime_period,
        cpu_realtime_runtime: host.cpu_realtime_runtime,
        cpuset_cpus: host.cpuset_cpus,
        cpuset_mems: host.cpuset_mems,
        cpu_count: host.cpu_count,
        cpu_percent: host.cpu_percent,
        io_maximum_iops: host.io_maximum_iops,
        io_maximum_bandwidth: host.io_maximum_bandwidth,
        devices: devices::mappings_from_api(host.devices),
        device_cgroup_rules: host.device_cgroup_rules,
        device_requests: devices::requests_from_api(host.device_requests),
        kernel_memory: host.kernel_memory,
        kernel_memory_tcp: host.kernel_memory_tcp,
        memory_reservation: host.memory_reservation,
        memory_swap: host.memory_swap,
        memory_swappiness: host.memory_swappiness,
        oom_kill_disable: host.oom_kill_disable,
        // 0 and less are other ways to say "no limit".
        pids_limit: host.pids_limit.filter(|limit| *limit > 0),
        ulimits: ulimits_from_api(host.ulimits),
        init: host.init,
        masked_paths: host.masked_paths,
        readonly_paths: host.readonly_paths,
    })
}

pub(crate) fn to_api(host: &HostConfig) -> api::HostConfig {
    api::HostConfig {
        binds: host.binds.clone(),
        container_id_file: host.container_id_file.clone(),
        log_config: api::LogConfig {
            kind: or(&host.log_config.driver, "json-file"),
            config: Some(host.log_config.options.clone()),
        },
        network_mode: host.network_mode.clone(),
        port_bindings: port_bindings_to_api(host.port_bindings.as_ref()),
        restart_policy: api::RestartPolicy {
            name: or(&host.restart_policy.name, "no"),
            maximum_retry_count: host.restart_policy.maximum_retry_count,
        },
        auto_remove: host.auto_remove,
        volume_driver: host.volume_driver.clone(),
        volumes_from: host.volumes_from.clone(),
        console_size: host.console_size,
        annotations: Some(host.annotations.clone()),
        cap_add: host.cap_add.clone(),
        cap_drop: host.cap_drop.clone(),
        cgroupns_mode: or(&host.cgroupns_mode, "private"),
        dns: host.dns.clone(),
        dns_options: host.dns_options.clone(),
        dns_search: host.dns_search.clone(),
        extra_hosts: host.extra_hosts.clone(),
        group_add: host.group_add.clone(),
        ipc_mode: or(&host.ipc_mode, "private"),
        links: host.links.clone(),
        oom_score_adj: host.oom_score_adj,
        pid_mode: host.pid_mode.clone(),
        privileged: host.privileged,
        publish_all_ports: host.publish_all_ports,
        readonly_rootfs: host.readonly_rootfs,
        security_opt: host.security_opt.clone(),
        storage_opt: Some(host.storage_opt.clone()),
        tmpfs: Some(host.tmpfs.clone()),
        uts_mode: host.uts_mode.clone(),
        userns_mode: host.userns_mode.clone(),
        shm_size: if host.shm_size == 0 { DEFAULT_SHM_BYTES } else { host.shm_size },
        sysctls: Some(host.sysctls.clone()),
        runtime: or(&host.runtime, "runc"),
        isolation: host.isolation.clone(),
        mounts: Some(host.mounts.iter().map(mounts::request_to_api).collect()),
        masked_paths: host.masked_paths.clone(),
        readonly_paths: host.readonly_paths.clone(),
        init: host.init,
        ..resources_to_api(host)
    }
}

/// The half of the fields that limits what the container may take.
fn resources_to_api(host: &HostConfig) -> api::HostConfig {
    api::HostConfig {
        cpu_shares: host.cpu_shares,
        memory: host.memory,
        nano_cpus: host.nano_cpus,
        cgroup_parent: host.cgroup_parent.clone(),
        blkio_weight: host.blkio_weight,
        blkio_weight_device: devices::weights_to_api(host.blkio_weight_device.as_deref()),
        blkio_device_read_bps: devices::throttles_to_api(host.blkio_device_read_bps.as_deref()),
        blkio_device_write_bps: devices::throttles_to_api(host.blkio_device_write_bps.as_deref()),
        blkio_device_read_iops: devices::throttles_to_api(host.blkio_device_read_iops.as_deref()),
        blkio_device_write_iops: devices::throttles_to_api(host.blkio_device_write_iops.as_deref()),
        cpu_period: host.cpu_period,
        cpu_quota: host.cpu_quota,
        cpu_realtime_period: host.cpu_realtime_period,
        cpu_realtime_runtime: host.cpu_realtime_runtime,
        cpuset_cpus: host.cpuset_cpus.clone(),
        cpuset_mems: host.cpuset_mems.clone(),
        cpu_count: host.cpu_count,
        cpu_percent: host.cpu_percent,
        io_maximum_iops: host.io_maximum_iops,
        io_maximum_bandwidth: host.io_maximum_bandwidth,
        devices: devices::mappings_to_api(host.devices.as_deref()),
        device_cgroup_rules: host.device_cgroup_rules.clone(),
        device_requests: devices::requests_to_api(host.device_requests.as_deref()),
        kernel_memory_tcp: host.kernel_memory_tcp,
        memory_reservation: host.memory_reservation,
        memory_swap: host.memory_swap,
        memory_swappiness: host.memory_swappiness,
        oom_kill_disable: host.oom_kill_disable,
        pids_limit: host.pids_limit,
        ulimits: ulimits_to_api(host.ulimits.as_deref()),
        ..api::HostConfig::default()
    }
}

const DEFAULT_SHM_BYTES: i64 = 64 * 1024 * 1024;

fn refuse_unknown(host: &api::HostConfig) -> Result<(), HttpError> {
    match host.cgroup.as_str() {
        "" => Ok(()),
        _ => Err(HttpError::unbuilt("HostConfig.Cgroup")),
    }
}

fn or(value: &str, default: &str) -> String {
    if value.is_empty() { default.to_owned() } else { value.to_owned() }
}

type Bindings = BTreeMap<String, Option<Vec<PortBinding>>>;

fn port_bindings_from_api(map: Option<api::PortMap>) -> Option<Bindings> {
    let binding = |b: api::PortBinding| PortBinding { host_ip: b.host_ip, host_port: b.host_port };
    let list = |list: Vec<api::PortBinding>| list.into_iter().map(binding).collect();
    Some(map?.into_iter().map(|(port, bindings)| (port, bindings.map(list))).collect())
}

fn port_bindings_to_api(map: Option<&Bindings>) -> Option<api::PortMap> {
    let binding = |b: &PortBinding| api::PortBinding {
        host_ip: b.host_ip.clone(),
        host_port: b.host_port.clone(),
    };
    let list = |list: &Vec<PortBinding>| list.iter().map(binding).collect();
    let ports = map?.iter();
    Some(ports.map(|(port, bindings)| (port.clone(), bindings.as_ref().map(list))).collect())
}

fn ulimits_from_api(limits: Option<Vec<api::Ulimit>>) -> Option<Vec<Ulimit>> {
    let limit = |l: api::Ulimit| Ulimit { name: l.name, soft: l.soft, hard: l.hard };
    Some(limits?.into_iter().map(limit).collect())
}

fn ulimits_to_api(limits: Option<&[Ulimit]>) -> Option<Vec<api::Ulimit>> {
    let limit = |l: &Ulimit| api::Ulimit { name: l.name.clone(), hard: l.hard, soft: l.soft };
    Some(limits?.iter().map(limit).collect())
}
