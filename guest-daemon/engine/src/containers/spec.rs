//! From a container's record to what the runtime builds; pure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine_store::Layout;
use engine_store::objects::{ContainerRecord, MountRecord};

use crate::config::{ContainerConfig, HostConfig, Ulimit};
use crate::error::Result;
use crate::ports::{
    Cgroup, ContainerSpec, Mount, NamespaceMode, RootFilesystem, StdioKind, TerminalSize, UserMap,
};

use super::modes::{self, Sharing};
use super::{devices, image_mounts, mounts, security};
use crate::settings::ContainerDefaults;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The usual range of those who have no account.
const USERS: UserMap = UserMap { first: 100_000, count: 65_536 };
const CPU_PERIOD: i64 = 100_000;

/// What only the moment of the start knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    pub network_namespace: Option<PathBuf>,
    /// The container whose names and addresses are shared, else itself.
    pub files_of: String,
    /// Whether the network is the container's own: only then are its settings changed.
    pub own_network: bool,
    /// What linked containers say of themselves.
    pub links: Vec<String>,
    /// The kernel's settings of the container's link.
    pub sysctls: BTreeMap<String, String>,
}

pub(super) fn build(
    record: &ContainerRecord,
    layout: &Layout,
    defaults: &ContainerDefaults,
    around: Surroundings,
) -> Result<ContainerSpec> {
    let (config, host) = (&record.config, &record.host);
    let security = security::options(host)?;
    let shares_uts = modes::uts(host)? == Sharing::Host;
    Ok(ContainerSpec {
        id: record.id.clone(),
        root: root(record, layout),
        hostname: if shares_uts { String::new() } else { config.hostname.clone() },
        domainname: config.domainname.clone(),
        args: std::iter::once(&record.path).chain(&record.args).cloned().collect(),
        env: environment(config, config.tty, &around.links, &[]),
        working_dir: if config.working_dir.is_empty() {
            "/".to_owned()
        } else {
            mounts::clean(&config.working_dir)
        },
        user: config.user.clone(),
        additional_groups: host.group_add.clone().unwrap_or_default(),
        stdio: if config.tty { StdioKind::Terminal } else { StdioKind::Pipes },
        terminal_size: TerminalSize {
            rows: record.terminal_size[0],
            columns: record.terminal_size[1],
        },
        open_stdin: config.open_stdin,
        capabilities: security::capabilities(host)?,
        privileged: host.privileged,
        no_new_privileges: security.no_new_privileges,
        seccomp: security.seccomp,
        masked_paths: host.masked_paths.clone().unwrap_or_default(),
        readonly_paths: host.readonly_paths.clone().unwrap_or_default(),
        readonly_root: host.readonly_rootfs,
        mounts: all_mounts(record, layout, &around.files_of),
        images: image_mounts::of(&record.id, &record.mounts, layout),
        devices: devices::devices(host)?,
        device_rules: devices::rules(host)?,
        // In another's pid namespace there is an init process, or it is somebody else's matter.
        init: host.init.unwrap_or(defaults.init) && modes::pid(host)? == Sharing::Own,
        writable_cgroups: security.writable_cgroups,
        shm_size: u64::try_from(host.shm_size).unwrap_or(0),
        shm: modes::shared_memory(host),
        cgroup: Cgroup { parent: cgroup_parent(host, defaults), ..cgroup(host) },
        ulimits: host.ulimits.iter().flatten().map(ulimit).collect(),
        sysctls: sysctls(host, &around),
        oom_score_adj: host.oom_score_adj,
        network_namespace: around.network_namespace,
        ipc: namespace(modes::ipc(host)?),
        pid: namespace(modes::pid(host)?),
        uts: namespace(modes::uts(host)?),
        cgroup_namespace: namespace(modes::cgroup(host)?),
        users: modes::remapped(host, defaults).then_some(USERS),
    })
}

pub(super) fn root(record: &ContainerRecord, layout: &Layout) -> RootFilesystem {
    let file = |name: &str| layout.container_file(&record.id, name);
    let layers = record.layers.iter().rev().map(|layer| layout.layer_diff(layer));
    RootFilesystem {
        lower: layers.chain([layout.skeleton()]).collect(),
        upper: file("upper"),
        work: file("work"),
        merged: file("merged"),
    }
}

fn namespace(sharing: Sharing) -> NamespaceMode {
    match sharing {
        Sharing::Own => NamespaceMode::Private,
        Sharing::Host => NamespaceMode::Host,
        Sharing::Container(id) => NamespaceMode::Container(id),
    }
}

/// dockerd's own variables, then those of links, then the container's, then more; a name without a
/// value takes one away.
pub(crate) fn environment(
    config: &ContainerConfig,
    tty: bool,
    links: &[String],
    more: &[String],
) -> Vec<String> {
    let mut env = vec![
        ("PATH".to_owned(), DEFAULT_PATH.to_owned()),
        ("HOSTNAME".to_owned(), config.hostname.clone()),
    ];
    if tty {
        env.push(("TERM".to_owned(), "xterm".to_owned()));
    }
    for entry in links.iter().chain(&config.env).chain(more) {
        let (key, value) = match entry.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (entry.as_str(), None),
        };
        match (env.iter_mut().find(|(known, _)| known == key), value) {
            (Some(known), Some(value)) => value.clone_into(&mut known.1),
            (None, Some(value)) => env.push((key.to_owned(), value.to_owned())),
            (_, None) => env.retain(|(known, _)| known != key),
        }
    }
    env.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
}

/// Those that are nearer to the root first, so that none hides another.
fn all_mounts(record: &ContainerRecord, layout: &Layout, files_of: &str) -> Vec<Mount> {
    let numbered = record.mounts.iter().enumerate();
    let mut all: Vec<Mount> = numbered
        .map(|(number, mount)| {
            let image = layout.container_image(&record.id, number);
            user_mount(mount, layout, &image)
        })
        .collect();
    for (path, options) in &record.host.tmpfs {
        all.push(Mount {
            source: "tmpfs".into(),
            destination: mounts::clean(path),
            kind: "tmpfs".into(),
            options: mounts::tmpfs_options(options),
            ..Mount::default()
        });
    }
    for name in ["resolv.conf", "hostname", "hosts"] {
        let destination = format!("/etc/{name}");
        if !all.iter().any(|mount| mount.destination == destination) {
            let mode = if record.host.readonly_rootfs { "ro" } else { "rw" };
            all.push(Mount {
                source: layout.container_file(files_of, name).to_string_lossy().into_owned(),
                destination,
                kind: "bind".into(),
                options: ["rbind", "rprivate", mode].map(String::from).to_vec(),
                of_container: true,
                ..Mount::default()
            });
        }
    }
    all.sort_by_key(|mount| mount.destination.matches('/').count());
    all
}

/// Where it is mounted comes with it, if it is an image.
fn user_mount(mount: &MountRecord, layout: &Layout, image: &Path) -> Mount {
    let mode = match mount.read_only {
        false => "rw",
        true if mount.read_only_non_recursive || mount.kind == "tmpfs" => "ro",
        true => "rro",
    };
    let bind = if mount.non_recursive { "bind" } else { "rbind" };
    let (source, kind, mut options) = match mount.kind.as_str() {
        "tmpfs" => ("tmpfs".to_owned(), "tmpfs", mount.options.clone()),
        "volume" => {
            let source = layout.volume_data(&mount.name).to_string_lossy().into_owned();
            (source, "bind", ["rbind", "rprivate"].map(String::from).to_vec())
        }
        "image" => {
            let source = image.to_string_lossy().into_owned();
            (source, "bind", ["rbind", "rprivate"].map(String::from).to_vec())
        }
        _ => (mount.source.clone(), "bind", vec![bind.to_owned(), mount.propagation.clone()]),
    };
    options.push(mode.to_owned());
    Mount {
        source,
        destination: mount.destination.clone(),
        kind: kind.to_owned(),
        options,
        subpath: mount.subpath.clone(),
        of_container: mount.kind == "volume",
    }
}

pub(super) fn cgroup(host: &HostConfig) -> Cgroup {
    let (cpu_quota, cpu_period) = match host.nano_cpus {
        0 => (host.cpu_quota, host.cpu_period),
        nanos => (nanos / (1_000_000_000 / CPU_PERIOD), CPU_PERIOD),
    };
    Cgroup {
        memory: host.memory,
        swap: match host.memory_swap {
            -1 => -1,
            both if both > 0 => both.saturating_sub(host.memory),
            _ => 0,
        },
        memory_reservation: host.memory_reservation,
        cpu_shares: host.cpu_shares,
        cpu_quota,
        cpu_period,
        cpuset_cpus: host.cpuset_cpus.clone(),
        cpuset_mems: host.cpuset_mems.clone(),
        // Nothing said is no limit, and nothing or less takes one away.
        pids_limit: host.pids_limit.map_or(0, |limit| if limit > 0 { limit } else { -1 }),
        blkio_weight: host.blkio_weight,
        device_weights: devices::weights(host),
        throttles: devices::throttles(host),
        parent: String::new(),
    }
}

fn cgroup_parent(host: &HostConfig, defaults: &ContainerDefaults) -> String {
    let chosen = [&host.cgroup_parent, &defaults.cgroup_parent];
    match chosen.into_iter().find(|parent| !parent.is_empty()) {
        Some(parent) => mounts::clean(parent),
        None => String::new(),
    }
}

fn ulimit(limit: &Ulimit) -> (String, u64, u64) {
    // -1 is unlimited.
    let number = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
    (limit.name.clone(), number(limit.soft), number(limit.hard))
}

fn sysctls(host: &HostConfig, around: &Surroundings) -> BTreeMap<String, String> {
    let mut sysctls = BTreeMap::new();
    if around.own_network {
        sysctls.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
        sysctls.insert("net.ipv4.ping_group_range".to_owned(), "0 2147483647".to_owned());
    }
    sysctls.extend(host.sysctls.clone());
    sysctls.extend(around.sysctls.clone());
    sysctls
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ContainerRecord {
        ContainerRecord {
            id: "c1".into(),
            path: "sh".into(),
            args: vec!["-c".into()],
            layers: vec!["sha256:aa".into(), "sha256:bb".into()],
            config: ContainerConfig { hostname: "h".into(), ..ContainerConfig::default() },
            ..ContainerRecord::default()
        }
    }

    fn built(record: &ContainerRecord) -> ContainerSpec {
        let around =
            Surroundings { files_of: "c1".into(), own_network: true, ..Surroundings::default() };
        build(record, &Layout::new("/d"), &ContainerDefaults::default(), around).unwrap()
    }

    #[test]
    fn layers_are_handed_over_topmost_first() {
        let spec = built(&record());
        assert_eq!(spec.root.lower[0], PathBuf::from("/d/layers/bb/diff"));
        assert_eq!(spec.args, ["sh", "-c"]);
        assert_eq!(spec.working_dir, "/");
    }

    #[test]
    fn the_users_variables_replace_and_remove() {
        let mut record = record();
        record.config.env = vec!["PATH=/x".into(), "HOSTNAME".into(), "A=1".into()];
        assert_eq!(built(&record).env, ["PATH=/x", "A=1"]);
    }

    #[test]
    fn cpus_become_a_quota_and_swap_is_what_exceeds_memory() {
        let mut record = record();
        record.host.nano_cpus = 1_500_000_000;
        record.host.memory = 100;
        record.host.memory_swap = 250;
        let cgroup = built(&record).cgroup;
        assert_eq!((cgroup.cpu_quota, cgroup.cpu_period), (150_000, 100_000));
        assert_eq!((cgroup.memory, cgroup.swap), (100, 150));
    }

    #[test]
    fn outer_mounts_come_first_and_a_users_file_replaces_ours() {
        let mut record = record();
        let bind = |source: &str, destination: &str| MountRecord {
            kind: "bind".into(),
            source: source.into(),
            destination: destination.into(),
            propagation: "rprivate".into(),
            ..MountRecord::default()
        };
        record.mounts =
            vec![bind("/deep", "/a/b/c"), bind("/mine", "/etc/hosts"), bind("/s", "/a")];
        let mounts = built(&record).mounts;
        assert_eq!(mounts[0].destination, "/a");
        assert_eq!(mounts.last().unwrap().destination, "/a/b/c");
        let hosts: Vec<_> =
            mounts.iter().filter(|mount| mount.destination == "/etc/hosts").collect();
        assert_eq!(hosts.len(), 1);
        assert_eq!(hosts[0].source, "/mine");
    }
}
