//! A container as an OCI runtime specification: dockerd's defaults around what the engine asks
//! for.

use std::path::PathBuf;

use engine::ports::{ContainerSpec, Identity, Mount, NamespaceMode, StdioKind};
use serde_json::{Value, json};

use crate::cgroup;

/// A device node of the guest, given to privileged containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) path: PathBuf,
    /// `b` or `c`.
    pub(crate) kind: &'static str,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What is looked up before the specification can be written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolved {
    pub(crate) identity: Identity,
    /// Those of privileged containers are not in the engine's specification.
    pub(crate) capabilities: Vec<String>,
    /// `None` is unconfined.
    pub(crate) seccomp: Option<Value>,
    /// Namespaces of other containers to join: OCI's kind and a path.
    pub(crate) joined: Vec<(&'static str, String)>,
    /// Beyond the default ones.
    pub(crate) devices: Vec<Node>,
    /// The guest's /dev/shm, with `--ipc host`.
    pub(crate) shared_memory: Option<PathBuf>,
}

/// The specification, as libcontainer reads it from `config.json`.
pub(crate) fn specification(spec: &ContainerSpec, resolved: &Resolved) -> Value {
    let mut document = json!({
        "ociVersion": "1.2.0",
        "process": process(spec, resolved),
        "root": { "path": spec.root.merged, "readonly": spec.readonly_root },
        "mounts": mounts(spec, resolved),
        "linux": linux(spec, resolved),
    });
    if spec.uts == NamespaceMode::Private {
        document["hostname"] = json!(spec.hostname);
        if !spec.domainname.is_empty() {
            document["domainname"] = json!(spec.domainname);
        }
    }
    document
}

/// The sets of capabilities of a process: users other than root may only gain them by running a
/// program that has them.
pub(crate) fn capabilities(uid: u32, given: &[String]) -> Value {
    let held = if uid == 0 { given } else { &[] };
    json!({
        "bounding": given,
        "effective": held,
        "permitted": held,
        "inheritable": [],
        "ambient": [],
    })
}

/// Limits as OCI has them.
pub(crate) fn rlimits(ulimits: &[(String, u64, u64)]) -> Value {
    ulimits
        .iter()
        .map(|(name, soft, hard)| {
            json!({
                "type": format!("RLIMIT_{}", name.to_ascii_uppercase()),
                "soft": soft,
                "hard": hard,
            })
        })
        .collect()
}

fn process(spec: &ContainerSpec, resolved: &Resolved) -> Value {
    let identity = &resolved.identity;
    let cwd = if spec.working_dir.is_empty() { "/" } else { &spec.working_dir };
    let mut process = json!({
        "terminal": spec.stdio == StdioKind::Terminal,
        "user": {
            "uid": identity.uid,
            "gid": identity.gid,
            "umask": 0o022,
            "additionalGids": identity.groups,
        },
        "args": spec.args,
        "env": with_home(&spec.env, &identity.home),
        "cwd": cwd,
        "capabilities": capabilities(identity.uid, &resolved.capabilities),
        "rlimits": rlimits(&spec.ulimits),
        "oomScoreAdj": spec.oom_score_adj,
    });
    // libcontainer takes any value that is there, false too, as a reason to load the system call
    // filter only after it has given up the right to.
    if spec.no_new_privileges {
        process["noNewPrivileges"] = json!(true);
    }
    process
}

/// Adds `HOME` unless it is there.
pub(crate) fn with_home(env: &[String], home: &str) -> Vec<String> {
    let mut env = env.to_vec();
    if !env.iter().any(|entry| entry.starts_with("HOME=")) {
        env.push(format!("HOME={home}"));
    }
    env
}

fn linux(spec: &ContainerSpec, resolved: &Resolved) -> Value {
    let (masked, readonly) = match spec.privileged {
        true => (&[][..], &[][..]),
        false => (&spec.masked_paths[..], &spec.readonly_paths[..]),
    };
    let devices: Vec<Value> = resolved.devices.iter().map(device).collect();
    let mut linux = json!({
        "cgroupsPath": cgroup::relative(&spec.id),
        "namespaces": namespaces(spec, resolved),
        "maskedPaths": masked,
        "readonlyPaths": readonly,
        "sysctl": sysctls(spec),
        "devices": devices,
    });
    if let Some(seccomp) = &resolved.seccomp {
        linux["seccomp"] = seccomp.clone();
    }
    linux
}

fn device(node: &Node) -> Value {
    json!({
        "path": node.path,
        "type": node.kind,
        "major": node.major,
        "minor": node.minor,
        "fileMode": node.mode,
        "uid": node.uid,
        "gid": node.gid,
    })
}

fn namespaces(spec: &ContainerSpec, resolved: &Resolved) -> Value {
    let mut namespaces = vec![json!({ "type": "mount" })];
    if let Some(path) = &spec.network_namespace {
        namespaces.push(json!({ "type": "network", "path": path }));
    }
    let modes = [
        ("pid", &spec.pid),
        ("ipc", &spec.ipc),
        ("uts", &spec.uts),
        ("cgroup", &spec.cgroup_namespace),
    ];
    for (kind, mode) in modes {
        if *mode == NamespaceMode::Private {
            namespaces.push(json!({ "type": kind }));
        }
    }
    for (kind, path) in &resolved.joined {
        namespaces.push(json!({ "type": kind, "path": path }));
    }
    namespaces.into()
}

/// What dockerd sets by itself where the container has a network of its own: low ports and ping
/// need no capability there.
fn sysctls(spec: &ContainerSpec) -> Value {
    let mut sysctls = spec.sysctls.clone();
    if spec.network_namespace.is_some() {
        for (name, value) in [
            ("net.ipv4.ip_unprivileged_port_start", "0"),
            ("net.ipv4.ping_group_range", "0 2147483647"),
        ] {
            sysctls.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    json!(sysctls)
}

fn mounts(spec: &ContainerSpec, resolved: &Resolved) -> Value {
    let chosen = |destination: &str| spec.mounts.iter().any(|m| same(&m.destination, destination));
    let dev_is_chosen = chosen("/dev");
    let mut mounts: Vec<Value> = default_mounts(spec, resolved)
        .into_iter()
        .filter(|mount| !chosen(&mount.destination))
        .filter(|mount| !(dev_is_chosen && mount.destination.starts_with("/dev/")))
        .map(|m| mount(&m))
        .collect();
    mounts.extend(spec.mounts.iter().map(mount));
    mounts.into()
}

fn same(a: &str, b: &str) -> bool {
    a.split('/').filter(|part| !part.is_empty()).eq(b.split('/').filter(|part| !part.is_empty()))
}

fn mount(mount: &Mount) -> Value {
    let source = if mount.source.is_empty() { &mount.kind } else { &mount.source };
    json!({
        "destination": mount.destination,
        "type": mount.kind,
        "source": source,
        "options": mount.options,
    })
}

fn default_mounts(spec: &ContainerSpec, resolved: &Resolved) -> Vec<Mount> {
    let make = |destination: &str, kind: &str, source: &str, options: &[&str]| Mount {
        source: source.to_owned(),
        destination: destination.to_owned(),
        kind: kind.to_owned(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
    };
    let access = if spec.privileged { "rw" } else { "ro" };
    let system = ["nosuid", "noexec", "nodev", access];
    let shm_size = format!("size={}", spec.shm_size);
    let shm = match &resolved.shared_memory {
        Some(path) => make("/dev/shm", "bind", &path.to_string_lossy(), &["rbind"]),
        None => {
            make("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm_size])
        }
    };
    vec![
        make("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        make("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        make(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        make("/sys", "sysfs", "sysfs", &system),
        make("/sys/fs/cgroup", "cgroup", "cgroup", &system),
        make("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        shm,
    ]
}

#[cfg(test)]
mod tests;
