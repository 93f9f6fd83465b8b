//! The stored form of what users asked for. The engine reads and writes these values as they are:
//! a configuration is data, not behaviour, so a third copy of it would only drift.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// `Config` of a container or an image: what runs. Field names follow Docker's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerConfig {
    pub hostname: String,
    pub domainname: String,
    pub user: String,
    pub attach_stdin: bool,
    pub attach_stdout: bool,
    pub attach_stderr: bool,
    /// `80/tcp`.
    pub exposed_ports: BTreeSet<String>,
    pub tty: bool,
    pub open_stdin: bool,
    pub stdin_once: bool,
    /// `KEY=value`.
    pub env: Vec<String>,
    pub cmd: Option<Vec<String>>,
    pub healthcheck: Option<HealthConfig>,
    pub args_escaped: bool,
    /// The image as the user named it.
    pub image: String,
    pub volumes: BTreeSet<String>,
    pub working_dir: String,
    pub entrypoint: Option<Vec<String>>,
    pub network_disabled: bool,
    pub on_build: Option<Vec<String>>,
    pub labels: BTreeMap<String, String>,
    /// As given, `SIGTERM` or `15`.
    pub stop_signal: Option<String>,
    /// Seconds.
    pub stop_timeout: Option<i64>,
    pub shell: Option<Vec<String>>,
}

/// A health check. Durations are nanoseconds; 0 is the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthConfig {
    pub test: Vec<String>,
    pub interval: i64,
    pub timeout: i64,
    pub start_period: i64,
    pub start_interval: i64,
    pub retries: i64,
}

/// `HostConfig`: how it runs. Field names follow Docker's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostConfig {
    pub binds: Option<Vec<String>>,
    pub container_id_file: String,
    pub log_config: LogConfig,
    pub network_mode: String,
    /// By `80/tcp`.
    pub port_bindings: Option<BTreeMap<String, Option<Vec<PortBinding>>>>,
    pub restart_policy: RestartPolicy,
    pub auto_remove: bool,
    pub volume_driver: String,
    pub volumes_from: Option<Vec<String>>,
    pub console_size: [u16; 2],
    pub annotations: BTreeMap<String, String>,
    pub mounts: Vec<MountRequest>,
    pub cap_add: Option<Vec<String>>,
    pub cap_drop: Option<Vec<String>>,
    pub cgroupns_mode: String,
    pub dns: Option<Vec<String>>,
    pub dns_options: Option<Vec<String>>,
    pub dns_search: Option<Vec<String>>,
    pub extra_hosts: Option<Vec<String>>,
    pub group_add: Option<Vec<String>>,
    pub ipc_mode: String,
    pub links: Option<Vec<String>>,
    pub oom_score_adj: i32,
    pub pid_mode: String,
    pub privileged: bool,
    pub publish_all_ports: bool,
    pub readonly_rootfs: bool,
    pub security_opt: Option<Vec<String>>,
    pub storage_opt: BTreeMap<String, String>,
    pub tmpfs: BTreeMap<String, String>,
    pub uts_mode: String,
    pub userns_mode: String,
    /// Bytes; 0 is 64 MiB.
    pub shm_size: i64,
    pub sysctls: BTreeMap<String, String>,
    pub runtime: String,
    pub isolation: String,
    pub cpu_shares: i64,
    /// Bytes; 0 is no limit.
    pub memory: i64,
    pub nano_cpus: i64,
    pub cgroup_parent: String,
    pub blkio_weight: u16,
    pub blkio_weight_device: Option<Vec<WeightDevice>>,
    pub blkio_device_read_bps: Option<Vec<ThrottleDevice>>,
    pub blkio_device_write_bps: Option<Vec<ThrottleDevice>>,
    pub blkio_device_read_iops: Option<Vec<ThrottleDevice>>,
    pub blkio_device_write_iops: Option<Vec<ThrottleDevice>>,
    pub cpu_period: i64,
    pub cpu_quota: i64,
    pub cpu_realtime_period: i64,
    pub cpu_realtime_runtime: i64,
    pub cpuset_cpus: String,
    pub cpuset_mems: String,
    pub cpu_count: i64,
    pub cpu_percent: i64,
    pub io_maximum_iops: u64,
    pub io_maximum_bandwidth: u64,
    pub devices: Option<Vec<DeviceMapping>>,
    pub device_cgroup_rules: Option<Vec<String>>,
    pub device_requests: Option<Vec<DeviceRequest>>,
    pub kernel_memory: i64,
    pub kernel_memory_tcp: i64,
    pub memory_reservation: i64,
    /// Bytes of memory and swap together; -1 is unlimited, 0 is twice the memory.
    pub memory_swap: i64,
    pub memory_swappiness: Option<i64>,
    pub oom_kill_disable: Option<bool>,
    pub pids_limit: Option<i64>,
    pub ulimits: Option<Vec<Ulimit>>,
    pub init: Option<bool>,
    pub masked_paths: Option<Vec<String>>,
    pub readonly_paths: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    /// Empty is `json-file`.
    pub driver: String,
    pub options: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortBinding {
    pub host_ip: String,
    /// A number; empty or `0` is any free port.
    pub host_port: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RestartPolicy {
    /// Empty and `no` mean the same.
    pub name: String,
    pub maximum_retry_count: i64,
}

/// One of `HostConfig.Mounts`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountRequest {
    /// `bind`, `volume`, `tmpfs` or `image`.
    pub kind: String,
    pub source: String,
    pub target: String,
    pub read_only: bool,
    pub consistency: String,
    /// Whether there were options at all, be they empty.
    pub has_options: bool,
    /// Whether a driver was spoken of, be it without a name.
    pub has_volume_driver: bool,
    pub volume_labels: BTreeMap<String, String>,
    pub volume_no_copy: bool,
    pub volume_driver: String,
    pub volume_driver_options: BTreeMap<String, String>,
    pub volume_subpath: String,
    pub image_subpath: String,
    pub tmpfs_size_bytes: i64,
    pub tmpfs_mode: u32,
    /// A name, and perhaps a value, each.
    pub tmpfs_options: Vec<Vec<String>>,
    pub bind_propagation: String,
    pub bind_non_recursive: bool,
    pub bind_create_mountpoint: bool,
    pub bind_read_only_non_recursive: bool,
    pub bind_read_only_force_recursive: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceMapping {
    pub path_on_host: String,
    pub path_in_container: String,
    pub cgroup_permissions: String,
}

/// A device that only a driver can give, as `--gpus` asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceRequest {
    pub driver: String,
    pub count: i64,
    pub device_ids: Option<Vec<String>>,
    pub capabilities: Option<Vec<Vec<String>>>,
    pub options: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WeightDevice {
    pub path: String,
    pub weight: u16,
}

/// Bytes or operations a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThrottleDevice {
    pub path: String,
    pub rate: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ulimit {
    pub name: String,
    pub soft: i64,
    pub hard: i64,
}

/// What a container is attached to: by network name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkAttachment {
    pub aliases: Option<Vec<String>>,
    pub links: Option<Vec<String>>,
    pub driver_options: Option<BTreeMap<String, String>>,
    pub gateway_priority: i64,
    /// The addresses that the user chose, if these were spoken of at all.
    pub chosen: Option<ChosenAddresses>,
    pub mac_address: String,
    pub network_id: String,
    pub endpoint_id: String,
    pub gateway: String,
    pub ip_address: String,
    pub ip_prefix_len: u8,
}

/// Addresses that the user chose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChosenAddresses {
    /// Beside the container's own, for its link alone.
    pub link_local: Vec<String>,
}
