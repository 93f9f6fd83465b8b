//! Ending a machine, gently or not.

use std::time::Duration;

use machine_store::Lock;

use crate::driver::Stop;
use crate::state::{Decision, Operation, decide};
use crate::{Error, MachineName, Machines, Outcome};

/// How long a guest may take to end its containers and itself.
const GRACE: Duration = Duration::from_secs(30);

impl Machines {
    /// Asks the guest to shut down; powers it off when it does not.
    pub async fn stop(&self, name: &MachineName) -> Result<Outcome<()>, Error> {
        let lock = self.lock_complete(name)?;
        self.stop_locked(&lock, name).await
    }

    pub(crate) async fn stop_locked(
        &self,
        _lock: &Lock,
        name: &MachineName,
    ) -> Result<Outcome<()>, Error> {
        if decide(Operation::End, self.state(name).await?) == Decision::AlreadyDone {
            return Ok(Outcome::AlreadyDone);
        }
        self.end(name, Stop::Gracefully(GRACE), "stopped").await
    }

    /// Powers a machine off. Takes no lock: this is how a command that hangs is ended.
    pub async fn kill(&self, name: &MachineName) -> Result<Outcome<()>, Error> {
        self.require(name)?;
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
            Err(source) => Err(Error::Driver { name: name.clone(), action, source }),
        }
    }
}
