//! Further processes in running containers.

mod probe;
mod run;
mod table;
mod types;

use std::time::Duration;

pub(crate) use probe::{Probe, probe};
pub(crate) use table::Table;
pub use types::{CreateExec, Exec};

use crate::containers::{Core, DetachKeys, Handle, Snapshot, Status, attributes_of};
use crate::error::{Error, Kind, Result};
use crate::ids;
use crate::ports::{Process, TerminalSize};
use crate::streams::Attachment;
use table::Instance;

/// How long an exec may take to have a terminal.
const START_LIMIT: Duration = Duration::from_secs(10);

/// The service over exec instances, by their 64 hex digits.
#[derive(Clone, Debug)]
pub struct Execs {
    core: Core,
}

impl Execs {
    pub(crate) fn new(core: Core) -> Self {
        Self { core }
    }

    /// Takes over what an earlier daemon left: container, exec id, process.
    pub(crate) async fn open(core: Core, left: Vec<(String, String, Process)>) -> Self {
        let execs = Self::new(core);
        for (container, id, process) in left {
            execs.take_over(container.clone(), id, process);
            execs.show_ids(&container).await;
        }
        execs
    }

    /// Returns the id. Fails with `Conflict` when the container does not run or is paused.
    pub async fn create(&self, container: &str, request: CreateExec) -> Result<String> {
        let handle = self.core.registry.find(container)?;
        check_runs(&handle.look(), container)?;
        if request.cmd.iter().all(String::is_empty) {
            return Err(Error::invalid("No exec command specified"));
        }
        if !request.working_dir.is_empty() && !request.working_dir.starts_with('/') {
            return Err(Error::invalid(format!(
                "the working directory '{}' is invalid, it needs to be an absolute path",
                request.working_dir
            )));
        }
        if !request.user.is_empty() {
            self.core.runtime.check_user(&handle.id, &request.user).await?;
        }
        if DetachKeys::parse(&request.detach_keys).is_err() {
            let keys = &request.detach_keys;
            return Err(Error::invalid(format!("Invalid escape keys ({keys}) provided")));
        }
        Ok(self.register(&handle, request).await)
    }

    async fn register(&self, handle: &Handle, mut request: CreateExec) -> String {
        let id = ids::new_id();
        let action = format!("exec_create: {}", spoken(&request));
        if request.user.is_empty() {
            request.user.clone_from(&handle.look().container.config.user);
        }
        let chosen = Some(&request.detach_keys).filter(|keys| !keys.is_empty());
        let keys = chosen.and_then(|keys| DetachKeys::parse(keys).ok());
        let exec = Exec {
            id: id.clone(),
            container: handle.id.clone(),
            detach_keys: keys.map_or_else(Vec::new, |keys| keys.bytes().to_vec()),
            request,
            ..Exec::default()
        };
        self.core.execs.insert(Instance::new(exec));
        self.show_ids(&handle.id).await;
        self.event(&handle.id, &action, &id, &[]);
        id
    }

    /// Whether there is such an exec and its container can run it.
    pub fn check(&self, id: &str) -> Result<()> {
        let exec = self.core.execs.find(id)?.exec;
        let handle = self.core.registry.find(&exec.container)?;
        check_runs(&handle.look(), &handle.id)
    }

    pub async fn start(&self, id: &str, size: Option<TerminalSize>) -> Result<Attachment> {
        let (instance, process) = self.begin(id, size).await?;
        Ok(run::attach(self, &instance, process))
    }

    /// Starts it with nobody attached.
    pub async fn start_detached(&self, id: &str, size: Option<TerminalSize>) -> Result<()> {
        let (instance, process) = self.begin(id, size).await?;
        run::follow(self, &instance, process, None);
        Ok(())
    }

    async fn begin(&self, id: &str, size: Option<TerminalSize>) -> Result<(Instance, Process)> {
        self.check(id)?;
        let instance = self.core.execs.begin(id)?;
        let process = run::start(self, &instance, size).await?;
        Ok((instance, process))
    }

    pub fn inspect(&self, id: &str) -> Result<Exec> {
        let exec = self.core.execs.find(id)?.exec;
        match self.core.registry.find(&exec.container) {
            Ok(_) => Ok(exec),
            Err(_) => Err(Error::not_found(format!("No such exec instance: {id}"))),
        }
    }

    /// Waits a while for an exec that is about to start.
    pub async fn resize(&self, id: &str, size: TerminalSize) -> Result<()> {
        self.check(id)?;
        let mut input = self.core.execs.find(id)?.input.subscribe();
        let started = tokio::time::timeout(START_LIMIT, input.wait_for(Option::is_some)).await;
        let Ok(Ok(input)) = started.map(|started| started.map(|input| input.clone())) else {
            let text = "timeout waiting for exec session ready";
            return Err(Error::new(Kind::Internal, text));
        };
        match input {
            Some(input) => input.resize(size).await,
            None => Err(Error::invalid("exec process is not started")),
        }
    }

    /// Tells the container's snapshot which of its execs there are.
    async fn show_ids(&self, container: &str) {
        if let Ok(handle) = self.core.registry.find(container) {
            let ids = self.core.execs.of(container);
            drop(handle.commands.send(crate::containers::Command::Execs(ids)).await);
        }
    }

    fn event(&self, container: &str, action: &str, exec: &str, more: &[(&str, String)]) {
        let Ok(handle) = self.core.registry.find(container) else { return };
        let mut attributes = attributes_of(&handle.look().container);
        attributes.insert("execID".to_owned(), exec.to_owned());
        attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self.core.events.publish("container", action, container, attributes);
    }
}

/// Whether something can be run in it now. `shown` is how the container is called in errors.
fn check_runs(snapshot: &Snapshot, shown: &str) -> Result<()> {
    let id = &snapshot.container.id;
    match snapshot.container.state.status {
        Status::Running => Ok(()),
        Status::Paused => Err(Error::conflict(format!(
            "Container {shown} is paused, unpause the container before exec"
        ))),
        Status::Restarting => Err(Error::conflict(format!(
            "Container {id} is restarting, wait until the container is running"
        ))),
        Status::Created | Status::Removing | Status::Exited | Status::Dead => {
            Err(Error::conflict(format!("container {id} is not running")))
        }
    }
}

/// The command as events tell it; dockerd leaves the blank when there are no arguments.
fn spoken(request: &CreateExec) -> String {
    let (program, arguments) = request.cmd.split_first().map_or(("", &[][..]), |(p, a)| (p, a));
    format!("{program} {}", arguments.join(" "))
}

#[cfg(test)]
mod tests;
