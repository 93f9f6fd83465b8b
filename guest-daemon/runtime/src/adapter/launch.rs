//! Bringing processes to life: what the helper is asked for, and what becomes of its answer.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use engine::error::{Error, Kind, Result};
use engine::ports::{ContainerSpec, ExecSpec, NamespaceMode, Process, StdioKind};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer};

use super::{LibcontainerRuntime, blocking, not_running};
use crate::channel::{Answer, CreateRequest, ExecRequest};
use crate::prepare::{self, failed};
use crate::records::{ProcessRecord, container_prefix, exec_prefix};
use crate::role::give_pipes;
use crate::starter::{self, Task};
use crate::stdio::{self, Ends};
use crate::{cgroup, oci, signals, streams};

impl LibcontainerRuntime {
    pub(super) async fn try_create(&self, spec: &Arc<ContainerSpec>) -> Result<Process> {
        let joined = self.joined_namespaces(spec)?;
        let terminal = spec.stdio == StdioKind::Terminal;
        let this = self.clone();
        let shared = Arc::clone(spec);
        let (answer, ends) = blocking(move || this.build(&shared, joined, terminal)).await?;
        let process = match answer {
            Answer::Running { pid, start_time } => {
                ProcessRecord { pid, start_time, terminal, open_stdin: spec.open_stdin }
            }
            Answer::Refused(text) => return Err(Error::invalid(text)),
            Answer::Failed(text) => return Err(Error::new(Kind::Internal, text)),
        };
        let prefix = container_prefix(&spec.id);
        let io = self.keep_and_open(ends, &prefix).await?;
        self.update(&spec.id, |record| record.process = Some(process))?;
        Ok(Process { id: process.id(), io })
    }

    /// Everything that blocks in making a container.
    fn build(
        &self,
        spec: &ContainerSpec,
        joined: Vec<(&'static str, String)>,
        terminal: bool,
    ) -> Result<(Answer, Ends)> {
        let bundle = self.bundle(&spec.id);
        let uid = prepare::prepare(spec, &bundle, joined)?;
        let request = CreateRequest {
            id: spec.id.clone(),
            root: self.libcontainer_root(),
            bundle: bundle.clone(),
            terminal,
        };
        let build = || -> io::Result<(Answer, Ends)> {
            if !terminal {
                let (ours, theirs) = stdio::pipes(spec.open_stdin)?;
                give_pipes(&theirs, uid)?;
                let theirs: Vec<_> = theirs.iter().map(AsFd::as_fd).collect();
                let (answer, _) = starter::run(Task::Create, &request, &theirs)?;
                return Ok((answer, ours));
            }
            let (answer, master) = starter::run(Task::Create, &request, &[])?;
            let ends = match master {
                Some(master) => {
                    give_terminal(&master, uid)?;
                    streams::resize(&master, spec.terminal_size)?;
                    Ends::terminal(master)
                }
                None => Ends::default(),
            };
            Ok((answer, ends))
        };
        let built = build().map_err(|error| failed("the starter failed", error));
        // Only reading it again would need it, and nothing does.
        std::fs::remove_dir_all(bundle).ok();
        built
    }

    /// Namespaces of other containers, which must be running.
    fn joined_namespaces(&self, spec: &ContainerSpec) -> Result<Vec<(&'static str, String)>> {
        let modes = [
            ("pid", "pid", &spec.pid),
            ("uts", "uts", &spec.uts),
            ("cgroup", "cgroup", &spec.cgroup_namespace),
        ];
        let mut joined = Vec::new();
        for (kind, file, mode) in modes {
            let NamespaceMode::Container(other) = mode else { continue };
            let process = self.record(other)?.process.ok_or_else(|| not_running(other))?;
            signals::check_alive(process.id()).map_err(|_| not_running(other))?;
            joined.push((kind, format!("/proc/{}/ns/{file}", process.pid)));
        }
        Ok(joined)
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
        for name in names {
            self.init
                .remove(&format!("{prefix}{name}"))
                .await
                .map_err(|error| Error::internal("cannot close the process's streams", error))?;
        }
        Ok(())
    }

    fn exec_request(&self, container: &str, exec: &ExecSpec) -> Result<ExecRequest> {
        let record = self.record(container)?;
        let process = match record.process {
            Some(process) if record.started => process,
            _ => return Err(not_running(container)),
        };
        Ok(ExecRequest {
            container_pid: process.pid,
            container_start_time: process.start_time,
            cgroup: cgroup::directory(container),
            args: exec.args.clone(),
            env: exec.env.clone(),
            cwd: exec.working_dir.clone(),
            user: exec.user.clone(),
            additional_groups: exec.additional_groups.clone(),
            terminal: exec.stdio == StdioKind::Terminal,
            rows: exec.terminal_size.rows,
            columns: exec.terminal_size.columns,
            capabilities: prepare::granted(&exec.capabilities, exec.privileged)?,
            no_new_privileges: exec.no_new_privileges,
            seccomp: prepare::profile(&exec.seccomp, &exec.capabilities, exec.privileged)?,
            rlimits: oci::rlimits(&record.ulimits),
            oom_score_adj: record.oom_score_adj,
        })
    }

    pub(super) async fn try_exec(&self, container: &str, exec: ExecSpec) -> Result<Process> {
        let request = self.exec_request(container, &exec)?;
        let (terminal, open_stdin) = (request.terminal, exec.open_stdin);
        let (answer, ends) = blocking(move || {
            let run = || -> io::Result<(Answer, Ends)> {
                if terminal {
                    let (answer, master) = starter::run(Task::Exec, &request, &[])?;
                    return Ok((answer, master.map(Ends::terminal).unwrap_or_default()));
                }
                let (ours, theirs) = stdio::pipes(open_stdin)?;
                let theirs: Vec<_> = theirs.iter().map(AsFd::as_fd).collect();
                Ok((starter::run(Task::Exec, &request, &theirs)?.0, ours))
            };
            run().map_err(|error| Error::internal("exec failed", error))
        })
        .await?;
        let process = match answer {
            Answer::Running { pid, start_time } => {
                ProcessRecord { pid, start_time, terminal, open_stdin }
            }
            Answer::Refused(text) => return Err(Error::invalid(text)),
            Answer::Failed(text) => return Err(Error::new(Kind::Internal, text)),
        };
        let io = self.keep_and_open(ends, &exec_prefix(container, &exec.id)).await?;
        self.update(container, |record| {
            record.execs.insert(exec.id.clone(), process);
        })?;
        Ok(Process { id: process.id(), io })
    }
}

/// Makes the container's side of a terminal the user's.
fn give_terminal(master: &OwnedFd, uid: u32) -> io::Result<()> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(master, flags)?;
    Ok(rustix::fs::fchown(&slave, Some(rustix::fs::Uid::from_raw(uid)), None)?)
}
