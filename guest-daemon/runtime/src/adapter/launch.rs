//! Bringing processes to life: what the helper is asked for, and what becomes of its answer.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use engine::error::{Error, Kind, Result};
use engine::ports::{ContainerSpec, ExecSpec, NamespaceMode, Process, SharedMemory, StdioKind};
use futures::future::try_join_all;
use nix::libc;

use super::{NamespaceRuntime, blocking, not_running};
use crate::channel::{Answer, Order, Task};
use crate::prepare::{self, Given, failed};
use crate::process::guests;
use crate::records::{ProcessRecord, Record, container_prefix, exec_prefix};
use crate::role::give_pipes;
use crate::stdio::{self, Ends};
use crate::{cgroup, plan, shared_memory, signals, start};

impl NamespaceRuntime {
    pub(super) async fn try_create(&self, spec: &Arc<ContainerSpec>) -> Result<Process> {
        let joined = self.joined_namespaces(spec)?;
        let shm = self.shared_memory(spec)?;
        self.update(&spec.id, |record| record.shm.clone_from(&shm))?;
        let this = self.clone();
        let shared = Arc::clone(spec);
        let (answer, ends) = blocking(move || this.build(&shared, &joined, shm)).await?;
        let terminal = spec.stdio == StdioKind::Terminal;
        let process = started(answer, terminal, spec.open_stdin)?;
        let prefix = container_prefix(&spec.id);
        let io = self.keep_and_open(ends, &prefix).await?;
        self.update(&spec.id, |record| record.process = Some(process))?;
        Ok(Process { id: process.id(), io })
    }

    /// Everything that blocks in making a container.
    fn build(
        &self,
        spec: &ContainerSpec,
        joined: &Joined,
        shm: Option<PathBuf>,
    ) -> Result<(Answer, Ends)> {
        let group = self.group(&spec.id)?;
        if let (SharedMemory::Shareable, Some(path)) = (spec.shm, &shm) {
            shared_memory::mount(path, spec.shm_size)
                .map_err(|error| failed("cannot make shared memory", error))?;
        }
        let namespaces = joined.namespaces.as_ref().map(|(flags, _)| *flags);
        let users = match spec.users {
            Some(map) => Some(
                self.users
                    .get(&self.starter, map)
                    .map_err(|error| failed("cannot make a user namespace", error))?,
            ),
            None => None,
        };
        let given = Given {
            group: group.clone(),
            joined: namespaces,
            shared_memory: shm,
            users: users.map(|users| (users.as_fd(), self.mapped_layers(&spec.id))),
        };
        let (request, filter) = prepare::prepare(&self.kept, spec, given)?;
        let build = || -> io::Result<(Answer, Ends)> {
            let start = start::make(&self.starts(), &spec.id)?;
            let cgroup = File::open(&group)?;
            let order = Order { task: Task::Create, namespaces: plan::new_namespaces(spec) };
            let (ends, theirs) = pipes(spec.stdio, spec.open_stdin)?;
            give_pipes(&theirs, guests(&request.process, request.user.uid))?;
            let mut given = vec![start.as_fd()];
            given.extend(theirs.iter().map(AsFd::as_fd));
            given.extend(filter.as_ref().map(|filter| filter.file.as_fd()));
            given.extend(users.map(AsFd::as_fd));
            given.extend(joined.namespaces.as_ref().map(|(_, process)| process.as_fd()));
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
        for (flag, mode) in [
            (libc::CLONE_NEWIPC, &spec.ipc),
            (libc::CLONE_NEWUTS, &spec.uts),
            (libc::CLONE_NEWCGROUP, &spec.cgroup_namespace),
        ] {
            let NamespaceMode::Container(other) = mode else { continue };
            if joined.namespaces.is_some() {
                let text = "only one kind of namespace can be joined beside those of processes";
                return Err(Error::unimplemented(text));
            }
            joined.namespaces = Some((flag, self.running(other)?));
        }
        if let NamespaceMode::Container(other) = &spec.pid {
            joined.pid = Some(self.running(other)?);
        }
        Ok(joined)
    }

    /// The first process of a container, which must be running.
    fn running(&self, container: &str) -> Result<OwnedFd> {
        signals::hold(self.first_process(container)?.id()).map_err(|_| not_running(container))
    }

    /// Where the shared memory is that is not the container's alone.
    fn shared_memory(&self, spec: &ContainerSpec) -> Result<Option<PathBuf>> {
        match &spec.ipc {
            NamespaceMode::Host => {
                let guests = PathBuf::from("/dev/shm");
                Ok(guests.is_dir().then_some(guests))
            }
            NamespaceMode::Private if spec.shm == SharedMemory::Shareable => {
                Ok(Some(self.shared_memories().join(&spec.id)))
            }
            NamespaceMode::Private => Ok(None),
            NamespaceMode::Container(other) => match self.record(other)?.shm {
                Some(path) => Ok(Some(path)),
                None => Err(Error::invalid(format!("container {other}: non-shareable IPC"))),
            },
        }
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
        let request = plan::process(exec, capabilities, flags, record);
        let container = signals::hold(first.id()).map_err(|_| not_running(&record.id))?;
        let run = || -> io::Result<(Answer, Ends)> {
            let cgroup = File::open(cgroup::directory_beside(first.pid, record.group())?)?;
            let order = Order { task: Task::Exec, namespaces: 0 };
            let (ends, theirs) = pipes(exec.stdio, exec.open_stdin)?;
            let mut given = vec![container.as_fd()];
            given.extend(theirs.iter().map(AsFd::as_fd));
            given.extend(filter.as_ref().map(|filter| filter.file.as_fd()));
            let conversation =
                self.starter.begin(&order, cgroup.as_fd(), None, &request, &given)?;
            drop(theirs);
            let pid = match conversation.first()?.0 {
                Answer::Forked { pid } => pid,
                failure => return Ok((failure, Ends::default())),
            };
            // It waits, so this is really its own.
            let start_time = guest_process::start_time(pid)?;
            conversation.go_on()?;
            let (ready, master) = conversation.first()?;
            if ready != Answer::Ready {
                return Ok((ready, Ends::default()));
            }
            if let Some((failure, _)) = conversation.next()? {
                return Ok((failure, Ends::default()));
            }
            let answer = Answer::Running { pid, start_time };
            Ok((answer, master.map(Ends::terminal).unwrap_or(ends)))
        };
        run().map_err(|error| Error::internal("exec failed", error))
    }
}

/// What of other containers a new one joins.
#[derive(Default)]
struct Joined {
    /// Namespaces, as clone(2) has them, of a process.
    namespaces: Option<(i32, OwnedFd)>,
    /// A process whose pid namespace it is to be in.
    pid: Option<OwnedFd>,
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
        Answer::Forked { .. } | Answer::Ready => {
            Err(Error::internal("the starter failed", "an answer out of turn"))
        }
    }
}
