//! Ending a machine, gently or not.

use std::time::Duration;

use machine_store::Lock;

use crate::driver::{Stop, Unheard};
use crate::state::{Decision, Operation, decide};
use crate::{Error, MachineName, Machines, Outcome, State};

/// How long a guest may take to end its containers and itself.
const GRACE: Duration = Duration::from_secs(30);

impl Machines {
    /// Asks the guest to shut down; powers it off when it does not. A suspended machine is ended
    /// already, and keeps its memory.
    pub async fn stop(&self, name: &MachineName) -> Result<Outcome<()>, Error> {
        let lock = self.lock_complete(name)?;
        self.own_record(name, "stopped")?;
        self.stop_locked(&lock, name).await
    }

    pub(crate) async fn stop_locked(
        &self,
        _lock: &Lock,
        name: &MachineName,
    ) -> Result<Outcome<()>, Error> {
        let state = self.state(name).await?;
        if decide(Operation::End, state) == Decision::AlreadyDone {
            return Ok(Outcome::AlreadyDone);
        }
        if state == State::Paused && self.ensure_supervised(name, &Unheard).await.is_ok() {
            // A guest that stands still cannot shut down; whether it goes on shows below.
            let _awake = self.driver.unpause(&self.files(name)).await;
        }
        self.end(name, Stop::Gracefully(GRACE), "stopped").await
    }

    /// Powers a machine off. Takes no lock: this is how a command that hangs is ended.
    pub async fn kill(&self, name: &MachineName) -> Result<Outcome<()>, Error> {
        self.require(name)?;
        if self.is_elsewhere(name) {
            return Err(Error::NoVm { name: name.clone(), action: "killed" });
        }
        self.end(name, Stop::Kill, "killed").await
    }

    async fn end(
        &self,
        name: &MachineName,
        how: Stop,
        action: &'static str,
    ) -> Result<Outcome<()>, Error> {
        match self.driver.stop(&self.files(name), how).await {
            Ok(true) => Ok(Outcome::Done(())),
            Ok(false) => Ok(Outcome::AlreadyDone),
            Err(source) => Err(self.failed(name, action, source)),
        }
    }
}
