//! What is asked of containers and what they show.

use std::collections::BTreeMap;

use crate::config::{ContainerConfig, HostConfig, NetworkAttachment};
use crate::ports::Published;
pub use engine_store::objects::{HealthRecord as Health, HealthStatus, ProbeRecord as Probe};

/// What `create` is asked for.
#[derive(Clone, Debug, Default)]
pub struct CreateContainer {
    /// Without it a name is made up.
    pub name: Option<String>,
    pub config: ContainerConfig,
    pub host: HostConfig,
    /// By network name, as the client sent it.
    pub networks: BTreeMap<String, NetworkAttachment>,
    /// `os/architecture[/variant]`, or empty.
    pub platform: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Created {
    pub id: String,
    pub warnings: Vec<String>,
}

/// A container as everybody may see it, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Container {
    pub id: String,
    /// Without the slash.
    pub name: String,
    /// Nanoseconds since 1970.
    pub created: i128,
    /// The program that runs and its arguments.
    pub path: String,
    pub args: Vec<String>,
    pub state: State,
    /// The image's id, `sha256:…`.
    pub image_id: String,
    pub config: ContainerConfig,
    pub host: HostConfig,
    /// What is attached now (addresses only while it runs).
    pub networks: BTreeMap<String, NetworkAttachment>,
    pub published: Vec<Published>,
    pub sandbox_id: String,
    /// The file of its network namespace, while it has one on a network.
    pub sandbox_key: String,
    pub mounts: Vec<MountPoint>,
    pub restart_count: i64,
    pub log_path: String,
    pub resolv_conf_path: String,
    pub hostname_path: String,
    pub hosts_path: String,
    /// lower, upper, work, merged: for `GraphDriver.Data`.
    pub root: crate::ports::RootFilesystem,
    pub exec_ids: Vec<String>,
}

/// Where a container is in its life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub status: Status,
    pub pid: i32,
    pub exit_code: i32,
    pub oom_killed: bool,
    /// Why it could not be started, or empty.
    pub error: String,
    /// Nanoseconds since 1970; `None` is never.
    pub started_at: Option<i128>,
    pub finished_at: Option<i128>,
    /// `None` without a health check.
    pub health: Option<Health>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

impl Status {
    /// The word that users see and filter by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }
}

/// A mount as `inspect` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountPoint {
    /// `bind`, `volume`, `tmpfs` or `image`.
    pub kind: String,
    /// The volume's name, or the image as it was asked for.
    pub name: String,
    pub source: String,
    pub destination: String,
    pub driver: String,
    pub mode: String,
    pub read_write: bool,
    pub propagation: String,
}

/// Which containers `list` shows. All conditions must hold; within one, any value.
#[derive(Clone, Debug, Default)]
pub struct ListContainers {
    /// Also those that do not run.
    pub all: bool,
    pub limit: Option<usize>,
    /// key → values, already parsed from either JSON form; unknown keys are `InvalidArgument`
    /// `invalid filter 'x'`.
    pub filters: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// Whether to follow what comes from now on.
    pub stream: bool,
    /// Whether to begin with what was logged so far.
    pub logs: bool,
    /// `ctrl-p,ctrl-q` when empty.
    pub detach_keys: String,
}

#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    pub stdout: bool,
    pub stderr: bool,
    pub follow: bool,
    /// Nanoseconds since 1970.
    pub since: Option<i128>,
    pub until: Option<i128>,
    /// Lines from the end; `None` is all.
    pub tail: Option<usize>,
    pub timestamps: bool,
    pub details: bool,
}

/// When `wait` answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// At once if it does not run.
    #[default]
    NotRunning,
    /// The next time it ends.
    NextExit,
    /// When it is gone.
    Removed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitResult {
    pub code: i32,
    /// Why it could not be started, or empty.
    pub error: String,
}

/// `ps` inside a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Top {
    pub titles: Vec<String>,
    pub processes: Vec<Vec<String>>,
}

/// Where and how a tar stream is unpacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtractArchive {
    /// A folder of the container.
    pub path: String,
    /// A folder is never replaced by something else, nor the other way round.
    pub keep_kinds: bool,
    /// Everything becomes the property of the container's user.
    pub copy_owner: bool,
}

/// What `commit` is asked for.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Empty: the image has no name.
    pub repository: String,
    pub tag: String,
    pub author: String,
    pub comment: String,
    /// Whether the container is paused meanwhile.
    pub pause: bool,
    /// Dockerfile instructions.
    pub changes: Vec<String>,
    /// Instead of the container's own.
    pub config: Option<ContainerConfig>,
}
