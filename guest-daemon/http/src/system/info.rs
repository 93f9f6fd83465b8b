//! `GET /info`: many facts, most of which are true of every engine of this kind.

use std::collections::BTreeMap;

use engine::settings::{ContainerDefaults, Registries};
use engine::system::SystemInfo;
use engine_api::system::{
    Commit, FirewallBackend, IndexConfig, Info, Plugins, RegistryConfig, Runtime, Swarm,
};

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::server::ServerFacts;
use crate::{times, versions};

pub(crate) async fn info(call: Call) -> Result<Reply, HttpError> {
    let info = document(call.engine().system.info()?, call.facts());
    let mut document =
        serde_json::to_value(info).map_err(|error| HttpError::internal(error.to_string()))?;
    versions::info(call.version, &mut document);
    Ok(reply::ok(&document))
}

fn document(system: SystemInfo, facts: &ServerFacts) -> Info {
    let settings = &*system.settings;
    Info {
        id: system.id,
        containers: system.containers,
        containers_running: system.running,
        containers_paused: system.paused,
        containers_stopped: system.stopped,
        images: system.images,
        driver: "overlay2".to_owned(),
        driver_status: driver_status(),
        plugins: plugins(),
        memory_limit: true,
        swap_limit: true,
        cpu_cfs_period: true,
        cpu_cfs_quota: true,
        cpu_shares: true,
        cpu_set: true,
        pids_limit: true,
        ipv4_forwarding: true,
        debug: settings.debug,
        open_files: system.open_files,
        // There is no such switch in cgroup v2.
        oom_kill_disable: false,
        tasks: 0,
        system_time: times::rfc3339(system.now),
        logging_driver: settings.containers.log_driver().to_owned(),
        cgroup_driver: "cgroupfs".to_owned(),
        cgroup_version: "2".to_owned(),
        event_listeners: system.event_listeners,
        kernel_version: system.kernel_version,
        operating_system: system.operating_system,
        os_version: String::new(),
        os_type: "linux".to_owned(),
        architecture: system.architecture,
        index_server_address: "https://index.docker.io/v1/".to_owned(),
        registry_config: registry_config(&settings.registries),
        cpus: system.cpus,
        mem_total: system.memory,
        generic_resources: None,
        docker_root_dir: system.root_dir,
        http_proxy: without_password(&settings.proxies.http),
        https_proxy: without_password(&settings.proxies.https),
        no_proxy: settings.proxies.not_for.clone(),
        name: system.name,
        labels: settings.labels.clone(),
        experimental_build: false,
        server_version: facts.version.clone(),
        runtimes: BTreeMap::from([("runc".to_owned(), Runtime { path: "runc".to_owned() })]),
        default_runtime: "runc".to_owned(),
        swarm: Swarm { local_node_state: "inactive".to_owned(), ..Swarm::default() },
        // Containers do not notice a daemon that restarts.
        live_restore_enabled: true,
        isolation: String::new(),
        init_binary: String::new(),
        containerd_commit: unknown_commit(),
        runc_commit: unknown_commit(),
        init_commit: unknown_commit(),
        security_options: security_options(&settings.containers),
        firewall_backend: FirewallBackend { driver: "nftables".to_owned() },
        cdi_spec_dirs: Vec::new(),
        warnings: warnings(&settings.warnings),
    }
}

fn driver_status() -> Vec<[String; 2]> {
    [
        ["Backing Filesystem", "extfs"],
        ["Supports d_type", "true"],
        ["Using metacopy", "false"],
        ["Native Overlay Diff", "true"],
        ["userxattr", "false"],
    ]
    .map(|pair| pair.map(str::to_owned))
    .to_vec()
}

fn plugins() -> Plugins {
    Plugins {
        volume: vec!["local".to_owned()],
        network: ["bridge", "host", "null"].map(str::to_owned).to_vec(),
        authorization: None,
        log: ContainerDefaults::log_drivers().iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn registry_config(registries: &Registries) -> RegistryConfig {
    let hub = IndexConfig {
        mirrors: registries.mirrors.clone(),
        name: "docker.io".to_owned(),
        official: true,
        secure: true,
    };
    let insecure = registries.insecure_hosts.iter().map(|host| {
        let config = IndexConfig { name: host.clone(), ..IndexConfig::default() };
        (host.clone(), config)
    });
    RegistryConfig {
        index_configs: std::iter::once(("docker.io".to_owned(), hub)).chain(insecure).collect(),
        insecure_registry_cidrs: registries.insecure_networks.clone(),
        mirrors: Some(registries.mirrors.clone()).filter(|mirrors| !mirrors.is_empty()),
    }
}

fn security_options(containers: &ContainerDefaults) -> Vec<String> {
    let all = [
        (true, "name=seccomp,profile=builtin"),
        (containers.userns_remap, "name=userns"),
        (true, "name=cgroupns"),
        (containers.no_new_privileges, "name=no-new-privileges"),
    ];
    all.into_iter().filter(|(is_on, _)| *is_on).map(|(_, name)| name.to_owned()).collect()
}

/// `docker info` prints them as they are.
fn warnings(texts: &[String]) -> Option<Vec<String>> {
    let lines: Vec<String> = texts.iter().map(|text| format!("WARNING: {text}")).collect();
    Some(lines).filter(|lines| !lines.is_empty())
}

/// The URL of a proxy as others may see it.
fn without_password(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    // The last one: a password that was not escaped may contain anything.
    match rest.rfind('@') {
        Some(at) => format!("{scheme}xxxxx:xxxxx{}", &rest[at..]),
        None => url.to_owned(),
    }
}

/// The programs that dockerd is made of are not there.
fn unknown_commit() -> Commit {
    Commit { id: "N/A".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_look_for_is_there() {
        let system = SystemInfo { cpus: 2, memory: 1024, ..SystemInfo::default() };
        let facts = ServerFacts { version: "28.5.2".to_owned(), ..ServerFacts::default() };
        let info = serde_json::to_value(document(system, &facts)).unwrap();
        assert_eq!(info["Swarm"]["LocalNodeState"], "inactive");
        assert_eq!(info["NCPU"], 2);
        assert_eq!(info["MemTotal"], 1024);
        assert_eq!(info["OSType"], "linux");
        assert_eq!(info["CgroupVersion"], "2");
        assert_eq!(info["ServerVersion"], "28.5.2");
        assert_eq!(info["RegistryConfig"]["IndexConfigs"]["docker.io"]["Official"], true);
        assert_eq!(info["CpuCfsQuota"], true);
        assert!(info["Warnings"].is_null());
        assert!(info["Labels"].is_array());
    }
    #[test]
    fn the_password_of_a_proxy_stays_in_the_machine() {
        let masked = |url| without_password(url);
        assert_eq!(masked("http://joe:p%40ss@proxy:3128/x"), "http://xxxxx:xxxxx@proxy:3128/x");
        assert_eq!(masked("http://joe:p/s@s@proxy"), "http://xxxxx:xxxxx@proxy");
        assert_eq!(masked("joe:a@b@proxy:3128"), "xxxxx:xxxxx@proxy:3128");
        assert_eq!(masked("http://proxy:3128/"), "http://proxy:3128/");
        assert_eq!(masked(""), "");
    }
}
