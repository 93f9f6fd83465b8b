//! Further processes in running containers.

mod run;
mod types;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

pub use types::{CreateExec, Exec};

use crate::containers::{Core, DetachKeys, attributes_of};
use crate::error::{Error, Result};
use crate::ids;
use crate::ports::{Process, ProcessInput, TerminalSize};
use crate::streams::Attachment;

/// The service over exec instances (64 hex digits or a unique prefix).
#[derive(Clone, Debug)]
pub struct Execs {
    core: Core,
    all: Arc<Mutex<BTreeMap<String, Instance>>>,
}

/// One exec'd process, before, while and after it runs.
#[derive(Clone)]
struct Instance {
    exec: Exec,
    started: bool,
    input: watch::Sender<Option<Arc<dyn ProcessInput>>>,
}

impl Execs {
    pub(crate) fn open(core: Core, left: Vec<(String, String, Process)>) -> Self {
        let execs = Self { core, all: Arc::default() };
        for (container, id, process) in left {
            execs.take_over(container, id, process);
        }
        execs
    }

    /// Returns the id. Fails with `Conflict` when the container does not run
    /// (`container ID is not running`) or is paused.
    pub async fn create(&self, container: &str, request: CreateExec) -> Result<String> {
        let handle = self.core.registry.find(container)?;
        let snapshot = handle.look();
        if !snapshot.is_running() {
            return Err(Error::conflict(format!("container {} is not running", handle.id)));
        }
        if request.cmd.iter().all(String::is_empty) {
            return Err(Error::invalid("No exec command specified"));
        }
        if !request.working_dir.is_empty() && !request.working_dir.starts_with('/') {
            return Err(Error::invalid(format!(
                "the working directory '{}' is invalid, it needs to be an absolute path",
                request.working_dir
            )));
        }
        DetachKeys::parse(&request.detach_keys)?;
        let id = ids::new_id();
        let command = request.cmd.join(" ");
        let exec =
            Exec { id: id.clone(), container: handle.id.clone(), request, ..Exec::default() };
        let instance = Instance { exec, started: false, input: watch::Sender::new(None) };
        self.all().insert(id.clone(), instance);
        self.show_ids(&handle.id).await;
        self.event(&handle.id, &format!("exec_create: {command}"), &id, &[]);
        Ok(id)
    }

    /// Starts it. `None` when `detach`.
    pub async fn start(
        &self,
        id: &str,
        detach: bool,
        terminal_size: Option<TerminalSize>,
    ) -> Result<Option<Attachment>> {
        let instance = self.find(id)?;
        run::start(self, instance, detach, terminal_size).await
    }

    pub fn inspect(&self, id: &str) -> Result<Exec> {
        Ok(self.find(id)?.exec)
    }

    pub async fn resize(&self, id: &str, size: TerminalSize) -> Result<()> {
        let instance = self.find(id)?;
        let input = instance.input.borrow().clone();
        match input {
            Some(input) if instance.exec.running => input.resize(size).await,
            _ => Err(Error::conflict(format!("exec {id} is not running"))),
        }
    }

    fn find(&self, reference: &str) -> Result<Instance> {
        let missing = || Error::not_found(format!("No such exec instance: {reference}"));
        let all = self.all();
        if let Some(instance) = all.get(reference) {
            return Ok(instance.clone());
        }
        let mut found = all
            .range(reference.to_owned()..)
            .take_while(|(id, _)| !reference.is_empty() && id.starts_with(reference));
        match (found.next(), found.next()) {
            (Some((_, instance)), None) => Ok(instance.clone()),
            _ => Err(missing()),
        }
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Instance)) {
        if let Some(instance) = self.all().get_mut(id) {
            change(instance);
        }
    }

    /// Tells the container's snapshot which of its execs there are, and forgets those of
    /// containers that are gone.
    async fn show_ids(&self, container: &str) {
        let existing: Vec<String> =
            self.core.registry.all().into_iter().map(|handle| handle.id).collect();
        let ids = {
            let mut all = self.all();
            all.retain(|_, instance| existing.contains(&instance.exec.container));
            all.values()
                .filter(|instance| {
                    instance.exec.container == container && instance.exec.exit_code.is_none()
                })
                .map(|instance| instance.exec.id.clone())
                .collect()
        };
        if let Ok(handle) = self.core.registry.find(container) {
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

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Instance>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("exec", &self.exec).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
