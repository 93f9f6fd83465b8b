//! What the engine was told to be like when its machine was made.

use std::net::Ipv4Addr;

use engine_store::objects::ContainerRecord;

use crate::config::{LogConfig, Ulimit};

/// Options of an engine that do not change while it runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `KEY=VALUE`.
    pub labels: Vec<String>,
    pub registries: Registries,
    pub proxies: Proxies,
    pub transfers: Transfers,
    pub debug: bool,
    pub containers: ContainerDefaults,
    /// Whole sentences about what was asked for and cannot be had.
    pub warnings: Vec<String>,
}

/// How registries are spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registries {
    /// Networks, as CIDR, whose registries need no TLS or none that can be checked. Those of the
    /// machine itself are among them.
    pub insecure_networks: Vec<String>,
    /// The same by `HOST[:PORT]`.
    pub insecure_hosts: Vec<String>,
    /// URLs with a slash at their end that are asked before Docker Hub, in this order.
    pub mirrors: Vec<String>,
    /// The file that says whose signatures images need; empty for none.
    pub signature_policy: String,
}

impl Default for Registries {
    fn default() -> Self {
        Self {
            insecure_networks: ["::1/128", "127.0.0.0/8"].map(str::to_owned).to_vec(),
            insecure_hosts: Vec::new(),
            mirrors: Vec::new(),
            signature_policy: String::new(),
        }
    }
}

/// How many layers travel at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfers {
    pub downloads: usize,
    pub uploads: usize,
    /// How often one that fails is begun again without getting any further.
    pub attempts: usize,
}

impl Default for Transfers {
    fn default() -> Self {
        Self { downloads: 3, uploads: 5, attempts: 5 }
    }
}

/// Through which proxies the engine reaches the world. They may contain passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    pub http: String,
    pub https: String,
    /// Hosts that are reached without one, separated by commas.
    pub not_for: String,
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxies").field("not_for", &self.not_for).finish_non_exhaustive()
    }
}

/// What a container gets that does not say it itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerDefaults {
    /// Its driver is empty for the engine's own default.
    pub log: LogConfig,
    pub ulimits: Vec<Ulimit>,
    /// Bytes; 0 is the engine's own default.
    pub shm_size: i64,
    /// Empty is `private`.
    pub ipc_mode: String,
    /// Empty is `private`.
    pub cgroupns_mode: String,
    pub no_new_privileges: bool,
    /// Every container gets an init process.
    pub init: bool,
    /// Users of containers are not those of the machine.
    pub userns_remap: bool,
    /// Where control groups are made; empty is the engine's own default.
    pub cgroup_parent: String,
    pub dns: Vec<String>,
    pub dns_search: Vec<String>,
    pub dns_options: Vec<String>,
    /// Where ports are published on the host; empty is the host's own default.
    pub publish_address: String,
    /// What `host-gateway` means in `--add-host`; without one it is the bridge's own address.
    pub host_gateway: Option<Ipv4Addr>,
}

impl ContainerDefaults {
    /// The driver's name.
    pub fn log_driver(&self) -> &str {
        if self.log.driver.is_empty() { "json-file" } else { &self.log.driver }
    }

    /// Whether such a log can be kept, or why not.
    pub fn check_log(log: &LogConfig) -> crate::Result<()> {
        crate::logs::check(log)?;
        // As it would be for a container without a name.
        let record = ContainerRecord::default();
        crate::logs::plan(log, &crate::logs::Subject { record: &record, host: "" }).map(drop)
    }

    /// The drivers that can be used, without `none`.
    pub fn log_drivers() -> &'static [&'static str] {
        &crate::logs::AVAILABLE
    }

    /// Whether a limit of this kind exists and its numbers fit, or why not.
    pub fn check_ulimit(limit: &Ulimit) -> crate::Result<()> {
        crate::containers::check_ulimit(limit)
    }
}
