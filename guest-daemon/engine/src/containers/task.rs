//! The task that owns one container: all that changes it comes through its mailbox.

mod ending;
mod health;
mod linking;
mod memory;
mod pausing;
mod removal;
mod showing;
mod updating;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use engine_store::objects::{ContainerRecord, StoredStatus};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use super::core::Core;
use super::launch::{self, Failed, Launched};
pub(super) use linking::LinkChange;
pub(crate) use showing::attributes_of;

use super::registry::{Handle, Snapshot};
use super::snapshot;
use super::state::{Decision, Phase, Request, decide};
use crate::config::HostConfig;
use crate::error::{Error, Outcome, Result};
use crate::logs::Hub;
use crate::ports::{ExitStatus, ProcessId};

pub(super) type Reply<T> = oneshot::Sender<Result<T>>;

/// What a container's task is told.
pub(crate) enum Command {
    Start(Reply<Outcome>),
    Stop {
        signal: i32,
        /// `None` is for ever.
        grace: Option<Duration>,
        why: StopReason,
        reply: Reply<Outcome>,
    },
    Kill {
        signal: i32,
        reply: Reply<()>,
    },
    Remove {
        force: bool,
        volumes: bool,
        reply: Reply<()>,
    },
    Rename {
        name: String,
        reply: Reply<()>,
    },
    Pause(Reply<()>),
    Unpause(Reply<()>),
    Update {
        change: Box<HostConfig>,
        reply: Reply<()>,
    },
    Link {
        change: LinkChange,
        reply: Reply<()>,
    },
    /// Execs come and go; the snapshot shows them.
    Execs(Vec<String>),
    /// The job that starts it has ended.
    Launched(Box<std::result::Result<Launched, Failed>>),
    /// A health check has a result.
    Probed(Box<health::Probed>),
    /// The kernel killed something in it for want of memory.
    MemoryKill,
    /// The process has ended and its output was moved.
    Exited(Result<ExitStatus>),
}

/// Who wants it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    User,
    /// It is started again at once: `--rm` must not take it away.
    Restart,
    /// The machine powers off: restart policies still count when it comes back.
    Shutdown,
}

pub(super) struct Task {
    pub(super) core: Core,
    pub(super) record: ContainerRecord,
    pub(super) phase: Phase,
    pub(super) hub: Arc<Hub>,
    publisher: watch::Sender<Arc<Snapshot>>,
    own: mpsc::Sender<Command>,
    exits: u64,
    failed_removals: u64,
    exec_ids: Vec<String>,
    /// Commands that came while it was starting.
    deferred: VecDeque<Command>,
    /// Who waits for the start.
    starters: Vec<Reply<Outcome>>,
    /// Who waits for it to end.
    stoppers: Vec<Reply<Outcome>>,
    /// Removals that had to kill it first.
    removers: Vec<(bool, Reply<()>)>,
    /// When patience ends: SIGKILL while stopping, the next attempt while restarting.
    deadline: Option<Instant>,
    backoff: Option<Duration>,
    began: Instant,
    /// The next end is no reason to start again.
    end_is_final: bool,
    keep: bool,
    /// The container is probed until this is dropped.
    probing: Option<DropGuard>,
    /// It runs, but none of its processes does.
    paused: bool,
}

const MAILBOX: usize = 64;

/// Brings a container's task to life and returns how to reach it.
pub(super) fn spawn(
    core: &Core,
    record: ContainerRecord,
    hub: Arc<Hub>,
    phase: Phase,
    paused: bool,
) -> (Handle, TaskStarter) {
    let (own, mailbox) = mpsc::channel(MAILBOX);
    let first = snapshot::take(core, &record, phase, paused, 0, Vec::new());
    let (publisher, receiver) = watch::channel(Arc::new(first));
    let handle = Handle {
        id: record.id.clone(),
        commands: own.clone(),
        snapshot: receiver,
        hub: Arc::clone(&hub),
    };
    let task = Task {
        core: core.clone(),
        record,
        phase,
        hub,
        publisher,
        own,
        exits: 0,
        failed_removals: 0,
        exec_ids: Vec::new(),
        deferred: VecDeque::new(),
        starters: Vec::new(),
        stoppers: Vec::new(),
        removers: Vec::new(),
        deadline: None,
        backoff: None,
        began: Instant::now(),
        end_is_final: false,
        keep: false,
        probing: None,
        paused,
    };
    (handle, TaskStarter { task, mailbox })
}

/// A task that does not run yet.
pub(super) struct TaskStarter {
    task: Task,
    mailbox: mpsc::Receiver<Command>,
}

impl TaskStarter {
    /// Takes over a process that runs already.
    pub(super) fn watch(mut self, process: ProcessId, pump: tokio::task::JoinHandle<()>) -> Self {
        let ran = self.task.core.clock.now() - self.task.started();
        let ran = Duration::from_nanos(u64::try_from(ran).unwrap_or(0));
        self.task.began = Instant::now().checked_sub(ran).unwrap_or_else(Instant::now);
        if !self.task.paused {
            self.task.begin_health();
        }
        self.task.publish();
        self.task.watch_process(process, pump);
        self.task.watch_memory();
        self
    }

    pub(super) fn run(self) {
        let tasks = self.task.core.tasks.clone();
        tasks.spawn(self.task.run(self.mailbox));
    }
}

impl Task {
    async fn run(mut self, mut mailbox: mpsc::Receiver<Command>) {
        let stop = self.core.stop.clone();
        loop {
            let deadline = self.deadline;
            let patience = async move {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let gone = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                command = mailbox.recv() => match command {
                    Some(command) => self.handle(command).await,
                    None => return,
                },
                () = patience => self.patience_is_over().await,
            };
            if gone {
                return;
            }
        }
    }

    /// `true` when the container is gone.
    async fn handle(&mut self, command: Command) -> bool {
        match command {
            Command::Start(reply) => self.start(reply),
            Command::Stop { signal, grace, why, reply } => {
                self.stop(signal, grace, why, reply).await;
            }
            Command::Kill { signal, reply } => self.kill(signal, reply).await,
            Command::Remove { force, volumes, reply } => {
                return self.remove_requested(force, volumes, reply).await;
            }
            Command::Rename { name, reply } => self.rename_requested(name, reply).await,
            Command::Pause(reply) => self.pause_requested(reply).await,
            Command::Unpause(reply) => self.unpause_requested(reply).await,
            Command::Update { change, reply } => self.update_requested(change, reply).await,
            Command::Link { change, reply } => self.link_requested(change, reply).await,
            Command::MemoryKill => self.memory_kill().await,
            Command::Execs(ids) => {
                self.exec_ids = ids;
                self.publish();
            }
            Command::Launched(result) => return self.launched(*result).await,
            Command::Probed(probed) => self.probed(*probed),
            Command::Exited(status) => return self.exited(status).await,
        }
        false
    }

    fn start(&mut self, reply: Reply<Outcome>) {
        match decide(self.phase, Request::Start) {
            Decision::Act => {
                self.starters.push(reply);
                self.backoff = None;
                self.record.restart_count = 0;
                self.begin_launch();
            }
            Decision::Defer => self.deferred.push_back(Command::Start(reply)),
            _ if self.paused => answer(
                reply,
                Err(Error::conflict("cannot start a paused container, try unpause instead")),
            ),
            _ => answer(reply, Ok(Outcome::AlreadyDone)),
        }
    }

    pub(super) fn begin_launch(&mut self) {
        self.phase = Phase::Starting;
        self.deadline = None;
        let (core, record) = (self.core.clone(), self.record.clone());
        let (hub, own) = (Arc::clone(&self.hub), self.own.clone());
        self.core.tasks.spawn(async move {
            let result = launch::launch(&core, record, hub).await;
            drop(own.send(Command::Launched(Box::new(result))).await);
        });
    }

    async fn launched(&mut self, result: std::result::Result<Launched, Failed>) -> bool {
        let gone = match result {
            Ok(Launched { record, process, pump }) => {
                self.record = record;
                self.phase = Phase::Running;
                self.began = Instant::now();
                self.end_is_final = false;
                self.begin_health();
                self.publish();
                self.volumes_mounted();
                self.network_event("connect");
                self.event("start", &[]);
                self.watch_process(process, pump);
                self.watch_memory();
                for starter in self.starters.drain(..) {
                    answer(starter, Ok(Outcome::Done));
                }
                false
            }
            Err(failed) => self.launch_failed(failed).await,
        };
        while let Some(command) = self.deferred.pop_front() {
            if gone {
                drop(command);
            } else if Box::pin(self.handle(command)).await {
                return true;
            } else if self.phase == Phase::Starting {
                break;
            }
        }
        gone
    }

    async fn launch_failed(&mut self, failed: Failed) -> bool {
        let first_time = self.record.state.started_at.is_none();
        // By its policy: then it is the last run's code that counts, and that was the last try.
        let again = self.starters.is_empty();
        self.phase = if first_time { Phase::Created } else { Phase::Exited };
        let state = &mut self.record.state;
        state.status = if first_time { StoredStatus::Created } else { StoredStatus::Exited };
        if !again {
            state.exit_code = failed.exit_code;
        }
        state.error = failed.error.with_causes();
        self.record.endpoint = None;
        self.record.published = Vec::new();
        self.hub.end_run();
        self.commit().await;
        let mut starters = self.starters.drain(..);
        if let Some(first) = starters.next() {
            answer(first, Err(failed.error));
        } else {
            tracing::error!(
                container = self.record.id,
                error = failed.error.with_causes(),
                "a container does not start"
            );
        }
        for other in starters {
            let error = self.record.state.error.clone();
            answer(other, Err(Error::new(crate::Kind::Internal, error)));
        }
        self.record.host.auto_remove && self.remove(true).await
    }

    fn watch_process(&self, process: ProcessId, pump: tokio::task::JoinHandle<()>) {
        let (core, own) = (self.core.clone(), self.own.clone());
        let (id, hub) = (self.record.id.clone(), Arc::clone(&self.hub));
        self.core.tasks.spawn(async move {
            let status = tokio::select! {
                status = core.runtime.wait(process) => status,
                () = core.stop.cancelled() => return,
            };
            // With a pid namespace of its own nothing is left; with another's this ends it.
            if let Err(error) = core.runtime.kill_all(&id).await {
                tracing::warn!(
                    container = id,
                    error = error.with_causes(),
                    "processes may be left"
                );
            }
            hub.moved_by(pump).await;
            drop(own.send(Command::Exited(status)).await);
        });
    }
}

/// Who asked may have gone; what was done stays done.
pub(super) fn answer<T>(reply: Reply<T>, result: Result<T>) {
    drop(reply.send(result));
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Command")
    }
}
