//! What a process of a container is to become: dockerd's defaults around what the engine asks for,
//! as far as it can be said before the process is there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use engine::ports::{
    ContainerSpec, ExecSpec, Identity, Mount, NamespaceMode, SharedMemory, StdioKind,
};
use nix::libc;
use serde::{Deserialize, Serialize};

use crate::container_init;
use crate::records::Record;
use crate::user_namespace;

/// Make a container up to the point where it waits for the start. With: the file to read the
/// start from, its three streams unless it has a terminal, its filter if it has one, its user
/// namespace if it has one, a process if namespaces of it are to be joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CreateRequest {
    pub(crate) process: ProcessPlan,
    pub(crate) user: User,
    pub(crate) root: PathBuf,
    pub(crate) readonly_root: bool,
    pub(crate) mounts: Vec<MountPlan>,
    /// Beyond the default ones.
    pub(crate) devices: Vec<Node>,
    pub(crate) masked_paths: Vec<String>,
    pub(crate) readonly_paths: Vec<String>,
    pub(crate) sysctls: BTreeMap<String, String>,
    /// Host and domain name, if it has its own.
    pub(crate) names: Option<(String, String)>,
    /// The network namespace to join.
    pub(crate) network: Option<PathBuf>,
    /// Namespaces of the process that comes with the request last, as clone(2) has them.
    pub(crate) joined: Option<i32>,
    pub(crate) own_cgroup_namespace: bool,
}

/// Run another process in a container. With: the container's first process, the streams unless
/// there is to be a terminal, the filter if there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExecRequest {
    pub(crate) process: ProcessPlan,
    /// To be looked up in the container as it is now.
    pub(crate) user: String,
    pub(crate) additional_groups: Vec<String>,
}

/// What containers' first processes and others have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessPlan {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) cwd: String,
    /// The size of its terminal, if it has one.
    pub(crate) terminal: Option<Size>,
    /// The set it may have; users other than root hold none of them.
    pub(crate) capabilities: u64,
    pub(crate) no_new_privileges: bool,
    /// With which the filter is to be set, if there is one.
    pub(crate) filter_flags: Option<u32>,
    /// Name, soft, hard; `u64::MAX` is unlimited.
    pub(crate) rlimits: Vec<(String, u64, u64)>,
    pub(crate) oom_score_adj: i32,
    /// The guest's user that is the container's root, if it is not the guest's.
    pub(crate) first_user: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MountPlan {
    pub(crate) kind: String,
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) options: Vec<String>,
    pub(crate) subpath: String,
    /// Its owners are users of the container.
    pub(crate) mapped: bool,
}

/// A device node of the guest, given to a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) path: PathBuf,
    pub(crate) is_block: bool,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What is looked up before the plan can be made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolved {
    pub(crate) identity: Identity,
    /// Those of privileged containers are not in the engine's specification.
    pub(crate) capabilities: u64,
    /// `None` is unconfined.
    pub(crate) filter_flags: Option<u32>,
    /// Namespaces of another container to join, as clone(2) has them.
    pub(crate) joined: Option<i32>,
    pub(crate) devices: Vec<Node>,
    /// What is to be at /dev/shm when it is not the container's alone.
    pub(crate) shared_memory: Option<PathBuf>,
    /// This program, if it is to be the container's init.
    pub(crate) init: Option<PathBuf>,
}

/// The plan of a container.
pub(crate) fn container(spec: &ContainerSpec, resolved: Resolved) -> CreateRequest {
    let mut mounts = mounts(spec, &resolved);
    if let Some(users) = spec.users {
        for mount in mounts.iter_mut().filter(|mount| matches!(&*mount.kind, "tmpfs" | "devpts")) {
            user_namespace::owners(&mut mount.options, users.first);
        }
    }
    let Resolved { identity, capabilities, filter_flags, joined, devices, init, .. } = resolved;
    let before = match init {
        Some(_) => [container_init::PATH, container_init::SEPARATOR].map(str::to_owned).to_vec(),
        None => Vec::new(),
    };
    let (masked_paths, readonly_paths) = match spec.privileged {
        true => (Vec::new(), Vec::new()),
        false => (spec.masked_paths.clone(), spec.readonly_paths.clone()),
    };
    let cwd = if spec.working_dir.is_empty() { "/" } else { &spec.working_dir };
    CreateRequest {
        process: ProcessPlan {
            args: [before, spec.args.clone()].concat(),
            env: with_home(&spec.env, &identity.home),
            cwd: cwd.to_owned(),
            terminal: terminal(spec.stdio, spec.terminal_size),
            capabilities,
            no_new_privileges: spec.no_new_privileges,
            filter_flags,
            rlimits: spec.ulimits.clone(),
            oom_score_adj: spec.oom_score_adj,
            first_user: spec.users.map(|users| users.first),
        },
        user: User::from(&identity),
        root: spec.root.merged.clone(),
        readonly_root: spec.readonly_root,
        mounts,
        devices,
        masked_paths,
        readonly_paths,
        sysctls: sysctls(spec),
        names: (spec.uts == NamespaceMode::Private)
            .then(|| (spec.hostname.clone(), spec.domainname.clone())),
        network: spec.network_namespace.clone(),
        joined,
        own_cgroup_namespace: spec.cgroup_namespace == NamespaceMode::Private,
    }
}

/// The plan of another process; limits and the score are the container's.
pub(crate) fn process(
    spec: &ExecSpec,
    capabilities: u64,
    filter_flags: Option<u32>,
    record: &Record,
) -> ExecRequest {
    ExecRequest {
        process: ProcessPlan {
            args: spec.args.clone(),
            env: spec.env.clone(),
            cwd: spec.working_dir.clone(),
            terminal: terminal(spec.stdio, spec.terminal_size),
            capabilities,
            no_new_privileges: spec.no_new_privileges,
            filter_flags,
            rlimits: record.ulimits.clone(),
            oom_score_adj: record.oom_score_adj,
            first_user: record.first_user,
        },
        user: spec.user.clone(),
        additional_groups: spec.additional_groups.clone(),
    }
}

/// The namespaces that a container gets new, as clone(2) has them. Its network and what it shares
/// with other containers is joined, and its cgroup namespace made when it is in its cgroup.
pub(crate) fn new_namespaces(spec: &ContainerSpec) -> u64 {
    let modes = [
        (libc::CLONE_NEWPID, &spec.pid),
        (libc::CLONE_NEWIPC, &spec.ipc),
        (libc::CLONE_NEWUTS, &spec.uts),
    ];
    let private = modes.into_iter().filter(|(_, mode)| **mode == NamespaceMode::Private);
    let flags = private.fold(libc::CLONE_NEWNS, |flags, (flag, _)| flags | flag);
    u64::from(flags.cast_unsigned())
}

impl From<&Identity> for User {
    fn from(identity: &Identity) -> Self {
        Self { uid: identity.uid, gid: identity.gid, groups: identity.groups.clone() }
    }
}

/// Adds `HOME` unless it is there.
pub(crate) fn with_home(env: &[String], home: &str) -> Vec<String> {
    let mut env = env.to_vec();
    if !env.iter().any(|entry| entry.starts_with("HOME=")) {
        env.push(format!("HOME={home}"));
    }
    env
}

fn terminal(stdio: StdioKind, size: engine::ports::TerminalSize) -> Option<Size> {
    let size = Size { rows: size.rows, columns: size.columns };
    (stdio == StdioKind::Terminal).then_some(size)
}

/// What dockerd sets by itself where the container has a network of its own: low ports and ping
/// need no capability there.
fn sysctls(spec: &ContainerSpec) -> BTreeMap<String, String> {
    let mut sysctls = spec.sysctls.clone();
    if spec.network_namespace.is_some() {
        for (name, value) in [
            ("net.ipv4.ip_unprivileged_port_start", "0"),
            ("net.ipv4.ping_group_range", "0 2147483647"),
        ] {
            sysctls.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    sysctls
}

fn mounts(spec: &ContainerSpec, resolved: &Resolved) -> Vec<MountPlan> {
    let chosen = |destination: &str| spec.mounts.iter().any(|m| same(&m.destination, destination));
    let dev_is_chosen = chosen("/dev");
    let mut mounts: Vec<MountPlan> = default_mounts(spec, resolved)
        .into_iter()
        .filter(|mount| !chosen(&mount.destination))
        .filter(|mount| !(dev_is_chosen && mount.destination.starts_with("/dev/")))
        .collect();
    mounts.extend(spec.mounts.iter().map(mount));
    mounts.extend(resolved.init.as_ref().map(|program| MountPlan {
        kind: "bind".to_owned(),
        source: program.to_string_lossy().into_owned(),
        destination: container_init::PATH.to_owned(),
        options: ["bind", "ro"].map(str::to_owned).to_vec(),
        subpath: String::new(),
        mapped: false,
    }));
    mounts
}

fn same(a: &str, b: &str) -> bool {
    parts(a).eq(parts(b))
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

fn mount(mount: &Mount) -> MountPlan {
    let source = if mount.source.is_empty() { &mount.kind } else { &mount.source };
    MountPlan {
        kind: mount.kind.clone(),
        source: source.clone(),
        destination: parts(&mount.destination).fold(String::new(), |path, part| path + "/" + part),
        options: mount.options.clone(),
        subpath: mount.subpath.clone(),
        mapped: mount.of_container,
    }
}

fn default_mounts(spec: &ContainerSpec, resolved: &Resolved) -> Vec<MountPlan> {
    let make = |destination: &str, kind: &str, source: &str, options: &[&str]| MountPlan {
        source: source.to_owned(),
        destination: destination.to_owned(),
        kind: kind.to_owned(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        subpath: String::new(),
        mapped: false,
    };
    let access = |writable| if writable { "rw" } else { "ro" };
    let system = ["nosuid", "noexec", "nodev", access(spec.privileged)];
    let groups = ["nosuid", "noexec", "nodev", access(spec.privileged || spec.writable_cgroups)];
    let shm_size = format!("size={}", spec.shm_size);
    let shm = match &resolved.shared_memory {
        Some(path) => Some(make("/dev/shm", "bind", &path.to_string_lossy(), &["bind"])),
        None if spec.shm == SharedMemory::Absent => None,
        None => Some(make("/dev/shm", "tmpfs", "shm", &[SHM, &[&shm_size]].concat())),
    };
    let mut mounts = vec![
        make("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        make("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        make(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        make("/sys", "sysfs", "sysfs", &system),
        make("/sys/fs/cgroup", "cgroup", "cgroup", &groups),
        make("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ];
    mounts.extend(shm);
    mounts
}

/// Options of every container's shared memory, without its size.
pub(crate) const SHM: &[&str] = &["nosuid", "noexec", "nodev", "mode=1777"];

#[cfg(test)]
mod tests;
