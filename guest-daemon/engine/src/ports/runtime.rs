//! The port behind which processes run in namespaces and cgroups.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::devices::{Device, DeviceRule, DeviceWeight, Throttle};
use super::namespaces::{NamespaceMode, SharedMemory, UserMap};
use super::usage::Usage;
use super::{ContainerFiles, FilesSpec, Listed, ProcessEntry, VolumeMount};
use crate::error::{Error, Result};

/// Starts and ends containers. The adapter owns mounts, namespaces, cgroups, pipes and terminals.
///
/// Containers and their exec'd processes outlive the daemon: what [`Runtime::recover`] returns
/// after a restart is everything that an earlier daemon created and nobody deleted.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// Mounts the root filesystem and builds the container up to the point where its first process
    /// waits for [`Runtime::start`]. Nothing is left behind on an error.
    ///
    /// An error of kind `NotFound` names something of the guest that is to be used and is not
    /// there; of a [`Mount::subpath`] it begins with `cannot access path`, and what leads out of
    /// its source is `InvalidArgument` with `path concatenation escapes`. Errors carry the texts
    /// that clients match on: a program that is not there is `InvalidArgument` with `exec: "x":
    /// executable file not found in $PATH`, one that may not be run has `permission denied`.
    async fn create(&self, spec: ContainerSpec) -> Result<Process>;

    /// Lets the first process of a created container run.
    async fn start(&self, container: &str) -> Result<()>;

    /// Runs another process in a running container.
    async fn exec(&self, container: &str, exec: ExecSpec) -> Result<Process>;

    /// Completes when the process has ended, at once if it already has; works for processes of an
    /// earlier daemon too.
    async fn wait(&self, process: ProcessId) -> Result<ExitStatus>;

    /// Sends a signal to one process.
    async fn signal(&self, process: ProcessId, signal: i32) -> Result<()>;

    /// Stops every process of a running container where it is, until [`Runtime::resume`]. All or
    /// none: on an error they run on.
    async fn pause(&self, container: &str) -> Result<()>;

    /// Lets the processes of a paused container run on.
    async fn resume(&self, container: &str) -> Result<()>;

    /// Gives a running container other limits.
    async fn update(&self, container: &str, limits: &Cgroup) -> Result<()>;

    /// What a running container has used so far.
    async fn usage(&self, container: &str) -> Result<Usage>;

    /// Completes when the kernel has killed more than `known` of the container's processes for
    /// want of memory; how many they are now.
    async fn memory_kills(&self, container: &str, known: u64) -> Result<u64>;

    /// Kills every process of the container, also of a paused one.
    async fn kill_all(&self, container: &str) -> Result<()>;

    /// Unmounts and removes everything [`Runtime::create`] made; processes still running are
    /// killed. Succeeds when there is nothing.
    async fn delete(&self, container: &str) -> Result<()>;

    /// Forgets what was kept about an exec'd process (its descriptors).
    async fn forget_exec(&self, container: &str, exec: &str) -> Result<()>;

    /// The pids of a running container.
    async fn processes(&self, container: &str) -> Result<Vec<i32>>;

    /// Whether a running container knows a user, by its own files. The error says who is missing.
    async fn check_user(&self, container: &str, user: &str) -> Result<()>;

    /// The processes of a running container as `ps` shows them.
    async fn process_table(&self, container: &str, of: Listed) -> Result<Vec<ProcessEntry>> {
        let _ = (container, of);
        Err(Error::unimplemented("listing processes is not implemented by this runtime"))
    }

    /// The files of a container, whether it runs or not.
    async fn open_files(&self, spec: FilesSpec) -> Result<Arc<dyn ContainerFiles>>;

    /// Mounts what a volume is, in the place of whatever is mounted there.
    async fn mount_volume(&self, volume: VolumeMount) -> Result<()>;

    /// Takes back [`Runtime::mount_volume`]. Succeeds when nothing is mounted.
    async fn unmount_volume(&self, path: &Path) -> Result<()>;

    /// Everything an earlier daemon left running or ended but not deleted.
    async fn recover(&self) -> Result<Vec<Recovered>>;
}

/// All that is needed to build a container; every default is already filled in.
#[derive(Clone, Debug, Default)]
pub struct ContainerSpec {
    /// 64 hex digits.
    pub id: String,
    pub root: RootFilesystem,
    pub hostname: String,
    pub domainname: String,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// `KEY=value`, complete but for `HOME`, which the adapter adds from the image's passwd file
    /// when it is not here.
    pub env: Vec<String>,
    /// Absolute; created when missing.
    pub working_dir: String,
    /// As `docker run -u`: `user`, `uid`, `user:group`, …; empty is root. Looked up in the image's
    /// own files.
    pub user: String,
    pub additional_groups: Vec<String>,
    pub stdio: StdioKind,
    /// The terminal's size at the start, if it has one.
    pub terminal_size: TerminalSize,
    /// Whether standard input stays open; without it it is /dev/null.
    pub open_stdin: bool,
    /// Names with `CAP_`.
    pub capabilities: Vec<String>,
    pub privileged: bool,
    pub no_new_privileges: bool,
    pub seccomp: Seccomp,
    pub masked_paths: Vec<String>,
    pub readonly_paths: Vec<String>,
    pub readonly_root: bool,
    /// Beyond the default ones (/proc, /dev, /sys, …), in mounting order.
    pub mounts: Vec<Mount>,
    /// What is mounted in the guest first, as mounts come from there.
    pub images: Vec<ImageFiles>,
    /// Beyond the harmless ones; a privileged container has all of the guest's.
    pub devices: Vec<Device>,
    /// Further devices that may be used when the container makes their nodes.
    pub device_rules: Vec<DeviceRule>,
    /// Whether its first process is one that starts the program, forwards signals to it and reaps
    /// what it leaves behind.
    pub init: bool,
    /// Its own control groups may be written to.
    pub writable_cgroups: bool,
    /// Bytes of /dev/shm.
    pub shm_size: u64,
    /// When it has an IPC namespace of its own.
    pub shm: SharedMemory,
    pub cgroup: Cgroup,
    /// name, soft, hard; `u64::MAX` is unlimited. Names without `RLIMIT_`, lower case.
    pub ulimits: Vec<(String, u64, u64)>,
    pub sysctls: BTreeMap<String, String>,
    pub oom_score_adj: i32,
    /// The network namespace to join; `None` keeps the guest's own (`--network host`).
    pub network_namespace: Option<PathBuf>,
    pub ipc: NamespaceMode,
    pub pid: NamespaceMode,
    pub uts: NamespaceMode,
    pub cgroup_namespace: NamespaceMode,
    /// Its users are others in the guest; `None` is that they are the guest's own.
    pub users: Option<UserMap>,
}

/// An overlay to be mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootFilesystem {
    /// Topmost first.
    pub lower: Vec<PathBuf>,
    pub upper: PathBuf,
    pub work: PathBuf,
    /// Where it is mounted.
    pub merged: PathBuf,
}

/// An image's files, to be mounted read-only as long as the container runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageFiles {
    /// Topmost first; none at all is an empty folder.
    pub layers: Vec<PathBuf>,
    /// Where they are mounted: a folder of the container's, made when it is missing.
    pub place: PathBuf,
}

/// A mount into the container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// A path in the guest for binds, else empty or the filesystem's source.
    pub source: String,
    /// An absolute path in the container.
    pub destination: String,
    /// `bind`, `tmpfs`, …
    pub kind: String,
    /// Mount options as mount(8) writes them (`rbind`, `ro`, `size=64k`).
    pub options: Vec<String>,
    /// What beneath the source is bound, without leaving it by links; empty is all.
    pub subpath: String,
    /// The owners of its files are users of the container, and not of the guest.
    pub of_container: bool,
}

/// Limits of the container's cgroup; 0 or empty is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cgroup {
    /// Where the group is made, `/a/b`; empty is the usual place.
    pub parent: String,
    /// Bytes.
    pub memory: i64,
    /// Bytes of swap alone; -1 is unlimited.
    pub swap: i64,
    pub memory_reservation: i64,
    /// Docker's shares (2 to 262144).
    pub cpu_shares: i64,
    /// Microseconds.
    pub cpu_quota: i64,
    /// Microseconds.
    pub cpu_period: i64,
    pub cpuset_cpus: String,
    pub cpuset_mems: String,
    pub pids_limit: i64,
    pub blkio_weight: u16,
    pub device_weights: Vec<DeviceWeight>,
    pub throttles: Vec<Throttle>,
}

/// Which system calls are allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seccomp {
    /// Docker's default profile for the capabilities given.
    #[default]
    Default,
    Unconfined,
    /// A profile in Docker's JSON form.
    Profile(String),
}

/// How standard input, output and error are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StdioKind {
    /// A pipe each.
    #[default]
    Pipes,
    /// One terminal for all three.
    Terminal,
}

/// Characters; 0 by 0 is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TerminalSize {
    pub rows: u16,
    pub columns: u16,
}

/// Another process in a running container.
#[derive(Clone, Debug, Default)]
pub struct ExecSpec {
    /// 64 hex digits.
    pub id: String,
    pub args: Vec<String>,
    /// Complete, but for `HOME`.
    pub env: Vec<String>,
    pub working_dir: String,
    pub user: String,
    pub additional_groups: Vec<String>,
    pub stdio: StdioKind,
    pub terminal_size: TerminalSize,
    pub open_stdin: bool,
    pub capabilities: Vec<String>,
    pub privileged: bool,
    pub no_new_privileges: bool,
    pub seccomp: Seccomp,
}

/// A process that cannot be mistaken for a later one with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessId {
    pub pid: i32,
    /// Field 22 of /proc/PID/stat.
    pub start_time: u64,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitStatus {
    /// As the shell counts: the exit code, or 128 plus the signal.
    pub code: i32,
    /// The kernel killed something in its cgroup for want of memory.
    pub oom_killed: bool,
    /// When, in nanoseconds since 1970.
    pub unix_nanos: i128,
}

/// A process with its descriptors.
pub struct Process {
    pub id: ProcessId,
    pub io: ProcessIo,
}

/// The daemon's ends of a process's standard streams.
#[derive(Default)]
pub struct ProcessIo {
    pub stdin: Option<Box<dyn ProcessInput>>,
    /// The terminal's output when there is one.
    pub stdout: Option<Box<dyn OutputPipe>>,
    pub stderr: Option<Box<dyn OutputPipe>>,
}

/// The writing end of standard input, or a terminal.
#[async_trait]
pub trait ProcessInput: Send + Sync {
    /// Writes all of it. An error of kind `Conflict` means that nobody reads any more.
    async fn write_all(&self, data: &[u8]) -> Result<()>;
    /// The process sees the end of its input (no effect on a terminal).
    async fn close(&self) -> Result<()>;
    /// Sets a terminal's size; an error of kind `Conflict` for a pipe.
    async fn resize(&self, size: TerminalSize) -> Result<()>;
}

/// The reading end of standard output or error.
///
/// Reading is in two steps so that nothing is lost when the daemon dies in between: what was
/// peeked but not consumed is seen again by the next daemon.
#[async_trait]
pub trait OutputPipe: Send {
    /// Waits for bytes and returns them without taking them out; empty at the end. Dropping the
    /// future before it completes loses nothing.
    async fn peek(&mut self) -> Result<Vec<u8>>;
    /// Takes out the first `count` of the bytes last peeked.
    async fn consume(&mut self, count: usize) -> Result<()>;
}

/// What an earlier daemon left.
pub struct Recovered {
    pub container: String,
    pub process: Process,
    /// Exec'd processes by exec id.
    pub execs: Vec<(String, Process)>,
    /// Whether the first process was let run; if not, the container is to be deleted.
    pub started: bool,
    pub paused: bool,
}

/// Who a `user` string of an image is; kept for inspection and tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub home: String,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").field("id", &self.id).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ProcessIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessIo").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Recovered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovered").field("container", &self.container).finish_non_exhaustive()
    }
}
