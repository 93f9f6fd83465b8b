//! Which execs there are, by id.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::types::Exec;
use crate::error::{Error, Result};
use crate::ports::{ProcessId, ProcessInput};

/// One that ended may go after this, and is forgotten after twice the time.
const KEPT: Duration = Duration::from_secs(5 * 60);

#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    all: Arc<Mutex<BTreeMap<String, Instance>>>,
}

/// One exec'd process, before, while and after it runs.
#[derive(Clone)]
pub(super) struct Instance {
    pub exec: Exec,
    pub started: bool,
    pub process: Option<ProcessId>,
    pub ended: Option<Instant>,
    pub input: watch::Sender<Option<Arc<dyn ProcessInput>>>,
}

impl Instance {
    pub(super) fn new(exec: Exec) -> Self {
        let input = watch::Sender::new(None);
        Self { exec, started: false, process: None, ended: None, input }
    }

    fn ended_before(&self, age: Duration) -> bool {
        self.ended.is_some_and(|ended| ended.elapsed() >= age)
    }
}

impl Table {
    pub(super) fn insert(&self, instance: Instance) {
        let mut all = self.lock();
        all.retain(|_, known| !known.ended_before(KEPT * 2));
        all.insert(instance.exec.id.clone(), instance);
    }

    pub(super) fn find(&self, id: &str) -> Result<Instance> {
        let mut instance = self.lock().get(id).cloned().ok_or_else(|| missing(id))?;
        instance.exec.can_remove = instance.ended_before(KEPT);
        Ok(instance)
    }

    /// Hands it to whoever starts it, once.
    pub(super) fn begin(&self, id: &str) -> Result<Instance> {
        let mut all = self.lock();
        let instance = all.get_mut(id).ok_or_else(|| missing(id))?;
        if instance.exec.exit_code.is_some() {
            return Err(Error::conflict(format!("exec command {id} has already run")));
        }
        if instance.started {
            return Err(Error::conflict(format!("exec command {id} is already running")));
        }
        instance.started = true;
        Ok(instance.clone())
    }

    pub(super) fn runs(&self, id: &str, process: ProcessId) {
        self.change(id, |instance| {
            instance.exec.running = true;
            instance.exec.pid = process.pid;
            instance.process = Some(process);
        });
    }

    pub(super) fn ended(&self, id: &str, code: i32) {
        self.change(id, |instance| {
            instance.exec.running = false;
            instance.exec.exit_code = Some(code);
            instance.process = None;
            instance.ended = Some(Instant::now());
        });
    }

    pub(super) fn remove(&self, id: &str) {
        self.lock().remove(id);
    }

    pub(crate) fn forget_container(&self, container: &str) {
        self.lock().retain(|_, instance| instance.exec.container != container);
    }

    /// Those of a container that have not ended.
    pub(crate) fn of(&self, container: &str) -> Vec<String> {
        let all = self.lock();
        let alive = all.values().filter(|instance| {
            instance.exec.container == container && instance.exec.exit_code.is_none()
        });
        alive.map(|instance| instance.exec.id.clone()).collect()
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Instance)) {
        if let Some(instance) = self.lock().get_mut(id) {
            change(instance);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Instance>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(id: &str) -> Error {
    Error::not_found(format!("No such exec instance: {id}"))
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("exec", &self.exec).finish_non_exhaustive()
    }
}
