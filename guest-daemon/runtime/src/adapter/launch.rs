//! Bringing processes to life: what the helper is asked for, and what becomes of its answer.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use engine::error::{Error, Kind, Result};
use engine::ports::{ContainerSpec, ExecSpec, NamespaceMode, Process, StdioKind};
use futures::future::try_join_all;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{NamespaceRuntime, blocking, not_running};
use crate::channel::{Answer, Order, Task};
use crate::prepare::{self, failed};
use crate::records::{ProcessRecord, Record, container_prefix, exec_prefix};
use crate::role::give_pipes;
use crate::stdio::{self, Ends};
use crate::{cgroup, plan, signals, start};

impl NamespaceRuntime {
    pub(super) async fn try_create(&self, spec: &Arc<ContainerSpec>) -> Result<Process> {
        let joined = self.joined_namespaces(spec)?;
        let this = self.clone();
        let shared = Arc::clone(spec);
        let (answer, ends) = blocking(move || this.build(&shared, &joined)).await?;
        let terminal = spec.stdio == StdioKind::Terminal;
        let process = started(answer, terminal, spec.open_stdin)?;
        let prefix = container_prefix(&spec.id);
        let io = self.keep_and_open(ends, &prefix).await?;
        self.update(&spec.id, |record| record.process = Some(process))?;
        Ok(Process { id: process.id(), io })
    }

    /// Everything that blocks in making a container.
    fn build(&self, spec: &ContainerSpec, joined: &Joined) -> Result<(Answer, Ends)> {
        let files = joined.files.clone();
        let (request, filter) = prepare::prepare(&self.kept, spec, files)?;
        let build = || -> io::Result<(Answer, Ends)> {
            let start = start::make(&self.starts(), &spec.id)?;
            let cgroup = File::open(cgroup::directory(&spec.id))?;
            let order = Order { task: Task::Create, namespaces: plan::new_namespaces(spec) };
            let (ends, theirs) = pipes(spec.stdio, spec.open_stdin)?;
            give_pipes(&theirs, request.user.uid)?;
            let mut given = vec![start.as_fd()];
            given.extend(theirs.iter().map(AsFd::as_fd));
            given.extend(filter.as_ref().map(|filter| filter.file.as_fd()));
            let container = joined.pid.as_ref().map(AsFd::as_fd);
            let conversation =
                self.starter.begin(&order, cgroup.as_fd(), container, &request, &given)?;
            let (answer, master) = conversation.first()?;
            Ok((answer, master.map(Ends::terminal).unwrap_or(ends)))
        };
        build().map_err(|error| failed("the starter failed", error))
    }

    /// Namespaces of other containers, which must be running.
    fn joined_namespaces(&self, spec: &ContainerSpec) -> Result<Joined> {
        let mut joined = Joined::default();
        for (file, mode) in [("uts", &spec.uts), ("cgroup", &spec.cgroup_namespace)] {
            if let NamespaceMode::Container(other) = mode {
                let process = self.first_process(other)?;
                signals::check_alive(process.id()).map_err(|_| not_running(other))?;
                joined.files.push(format!("/proc/{}/ns/{file}", process.pid).into());
            }
        }
        if let NamespaceMode::Container(other) = &spec.pid {
            joined.pid = Some(hold(self.first_process(other)?).ok_or_else(|| not_running(other))?);
        }
        Ok(joined)
    }

    fn first_process(&self, container: &str) -> Result<ProcessRecord> {
        self.record(container)?.process.ok_or_else(|| not_running(container))
    }

    async fn keep_and_open(&self, ends: Ends, prefix: &str) -> Result<engine::ports::ProcessIo> {
        let keep = |error| Error::internal("cannot keep the process's streams", error);
        ends.keep(&self.init, prefix).await.map_err(keep)?;
        ends.open(&self.init, prefix).map_err(keep)
    }

    /// Has init close what it keeps of a process.
    pub(super) async fn forget_streams(
        &self,
        process: Option<&ProcessRecord>,
        prefix: &str,
    ) -> Result<()> {
        // Of a container that was never finished it is not known what there is.
        let names = process.map_or(&["stdin", "stdout", "stderr", "tty"][..], |it| it.streams());
        let remove = |name: &&str| {
            let name = format!("{prefix}{name}");
            async move { self.init.remove(&name).await }
        };
        try_join_all(names.iter().map(remove))
            .await
            .map(drop)
            .map_err(|error| Error::internal("cannot close the process's streams", error))
    }

    pub(super) async fn try_exec(&self, container: &str, exec: ExecSpec) -> Result<Process> {
        let record = self.record(container)?;
        let first = match record.process {
            Some(process) if record.started => process,
            _ => return Err(not_running(container)),
        };
        let (id, open_stdin) = (exec.id.clone(), exec.open_stdin);
        let terminal = exec.stdio == StdioKind::Terminal;
        let this = self.clone();
        let (answer, ends) = blocking(move || this.join(&record, first, &exec)).await?;
        let process = started(answer, terminal, open_stdin)?;
        let io = self.keep_and_open(ends, &exec_prefix(container, &id)).await?;
        self.update(container, |record| {
            record.execs.insert(id, process);
        })?;
        Ok(Process { id: process.id(), io })
    }

    /// Everything that blocks in running another process.
    fn join(
        &self,
        record: &Record,
        first: ProcessRecord,
        exec: &ExecSpec,
    ) -> Result<(Answer, Ends)> {
        let capabilities = prepare::granted(&exec.capabilities, exec.privileged)?;
        let filters = &self.kept.filters;
        let filter = prepare::filter(filters, &exec.seccomp, &exec.capabilities, exec.privileged)?;
        let flags = filter.as_ref().map(|filter| filter.flags);
        let (limits, score) = (record.ulimits.clone(), record.oom_score_adj);
        let request = plan::process(exec, capabilities, flags, limits, score);
        let container = hold(first).ok_or_else(|| not_running(&record.id))?;
        let run = || -> io::Result<(Answer, Ends)> {
            let cgroup = File::open(cgroup::directory_beside(first.pid, &record.id)?)?;
            let order = Order { task: Task::Exec, namespaces: 0 };
            let (ends, theirs) = pipes(exec.stdio, exec.open_stdin)?;
            let mut given = vec![container.as_fd()];
            given.extend(theirs.iter().map(AsFd::as_fd));
            given.extend(filter.as_ref().map(|filter| filter.file.as_fd()));
            let holder = Some(container.as_fd());
            let conversation =
                self.starter.begin(&order, cgroup.as_fd(), holder, &request, &given)?;
            drop(theirs);
            let (answer, master) = conversation.first()?;
            if let Answer::Running { .. } = answer
                && let Some((failure, _)) = conversation.next()?
            {
                return Ok((failure, Ends::default()));
            }
            Ok((answer, master.map(Ends::terminal).unwrap_or(ends)))
        };
        run().map_err(|error| Error::internal("exec failed", error))
    }
}

/// What of other containers a new one joins.
#[derive(Default)]
struct Joined {
    files: Vec<PathBuf>,
    /// A process whose pid namespace it is to be in.
    pid: Option<OwnedFd>,
}

/// Holds a process fast, if it is still that one.
fn hold(process: ProcessRecord) -> Option<OwnedFd> {
    let held = pidfd_open(Pid::from_raw(process.pid)?, PidfdFlags::empty()).ok()?;
    // Checked while the descriptor holds it.
    let start_time = guest_process::start_time(process.pid).ok()?;
    (start_time == process.start_time).then_some(held)
}

/// Our ends of a process's streams and its own; none yet if it makes a terminal.
fn pipes(stdio: StdioKind, open_stdin: bool) -> io::Result<(Ends, Vec<OwnedFd>)> {
    match stdio {
        StdioKind::Pipes => stdio::pipes(open_stdin),
        StdioKind::Terminal => Ok((Ends::default(), Vec::new())),
    }
}

fn started(answer: Answer, terminal: bool, open_stdin: bool) -> Result<ProcessRecord> {
    match answer {
        Answer::Running { pid, start_time } => {
            Ok(ProcessRecord { pid, start_time, terminal, open_stdin })
        }
        Answer::Refused(text) => Err(Error::invalid(text)),
        Answer::Failed(text) => Err(Error::new(Kind::Internal, text)),
    }
}
