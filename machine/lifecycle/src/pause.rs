//! Standing still and going on.

use crate::driver::{Progress, Unheard};
use crate::{Error, MachineName, Machines, Outcome, State};

impl Machines {
    /// Lets a running machine stand still; its memory stays where it is.
    pub async fn pause(&self, name: &MachineName) -> Result<Outcome<()>, Error> {
        let _lock = self.lock_complete(name)?;
        self.own_record(name, "paused")?;
        match self.state(name).await? {
            State::Running => {}
            State::Paused => return Ok(Outcome::AlreadyDone),
            state => return Err(Error::NotRunning { name: name.clone(), state }),
        }
        self.ensure_supervised(name, &Unheard).await?;
        let paused = self.driver.pause(&self.files(name)).await;
        paused.map_err(|source| self.failed(name, "paused", source))?;
        Ok(Outcome::Done(()))
    }

    /// Lets a paused machine go on.
    pub async fn unpause(&self, name: &MachineName) -> Result<Outcome<()>, Error> {
        let _lock = self.lock_complete(name)?;
        self.own_record(name, "unpaused")?;
        match self.state(name).await? {
            State::Paused => {}
            State::Running => return Ok(Outcome::AlreadyDone),
            state => return Err(Error::NotRunning { name: name.clone(), state }),
        }
        self.ensure_supervised(name, &Unheard).await?;
        let unpaused = self.driver.unpause(&self.files(name)).await;
        unpaused.map_err(|source| self.failed(name, "unpaused", source))?;
        Ok(Outcome::Done(()))
    }

    /// Writes a running machine's memory to a file and ends its VM: the state `Saved`. `start`
    /// lets it go on from there.
    pub async fn suspend(
        &self,
        name: &MachineName,
        progress: &dyn Progress,
    ) -> Result<Outcome<()>, Error> {
        let _lock = self.lock_complete(name)?;
        self.own_record(name, "suspended")?;
        match self.state(name).await? {
            State::Running | State::Paused => {}
            State::Saved => return Ok(Outcome::AlreadyDone),
            state => return Err(Error::NotRunning { name: name.clone(), state }),
        }
        self.ensure_supervised(name, progress).await?;
        let state = self.store.paths(name.as_str()).memory_state();
        let suspended = self.driver.suspend(&self.files(name), &state).await;
        suspended.map_err(|source| self.failed(name, "suspended", source))?;
        Ok(Outcome::Done(()))
    }
}
