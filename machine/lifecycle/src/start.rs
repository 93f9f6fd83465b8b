//! From a stopped or suspended machine to one whose API answers.

use std::time::{Duration, Instant};

use machine_store::{Lock, MachineRecord};

use crate::driver::{Progress, Started};
use crate::state::{Decision, Operation, decide};
use crate::{Error, MachineName, Machines, Outcome, State, identity};

/// Between two looks at a machine on which something is under way: nobody tells of its end.
const LOOK: Duration = Duration::from_millis(10);

/// How a machine is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartOptions {
    /// Bound of each phase, and so of a machine that does not come up.
    pub timeout: Duration,
    /// Of a suspended machine: boot anew, as after a power cut.
    pub discard_state: bool,
    /// Of a creation that fails: what was made stays, to be looked at, until `rm`.
    pub keep_failed: bool,
}

impl Machines {
    /// Starts a stopped machine and waits until its API answers. A suspended one goes on where it
    /// was, and so does a paused one.
    pub async fn start(
        &self,
        name: &MachineName,
        options: StartOptions,
        progress: &dyn Progress,
    ) -> Result<Outcome<Started>, Error> {
        let lock = self.lock_complete(name)?;
        self.start_locked(&lock, name, options, progress).await
    }

    pub(crate) async fn start_locked(
        &self,
        _lock: &Lock,
        name: &MachineName,
        options: StartOptions,
        progress: &dyn Progress,
    ) -> Result<Outcome<Started>, Error> {
        let record = self.own_record(name, "started")?;
        let mut state = self.settled(name, options.timeout).await?;
        match decide(Operation::Start, state) {
            Decision::Act => {}
            Decision::AlreadyDone => {
                self.ensure_supervised(name, progress).await?;
                return Ok(Outcome::AlreadyDone);
            }
            Decision::Refuse => return Err(Error::NotStartable { name: name.clone(), state }),
        }
        if state == State::Paused {
            return self.start_paused(name, &record, progress).await.map(Outcome::Done);
        }
        let paths = self.store.paths(name.as_str());
        if state == State::Saved && options.discard_state {
            machine_store::atomic::remove(&paths.memory_state())?;
            state = State::Stopped;
        }
        let image = self.image()?;
        let now = (self.clock)();
        let authority = identity::authority(&self.store, now)?;
        identity::renew(&paths, name, &record.tls_names, &authority, now)?;
        let started = if state == State::Saved {
            self.resume(name, &record, &image, options.timeout, progress).await?
        } else {
            self.boot(name, &record, &image, options.timeout, progress).await?
        };
        Ok(Outcome::Done(started))
    }

    /// The state once nothing is under way any more. Whoever holds the machine's lock knows that no
    /// command starts or stops it; but what a killed one had begun is still given up or carried out,
    /// and a guest may restart by itself.
    async fn settled(&self, name: &MachineName, limit: Duration) -> Result<State, Error> {
        let begin = Instant::now();
        loop {
            let state = self.state(name).await?;
            let under_way = matches!(state, State::Starting | State::Stopping);
            if !under_way || begin.elapsed() > limit {
                return Ok(state);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn start_paused(
        &self,
        name: &MachineName,
        record: &MachineRecord,
        progress: &dyn Progress,
    ) -> Result<Started, Error> {
        let begin = Instant::now();
        self.ensure_supervised(name, progress).await?;
        let unpaused = self.driver.unpause(&self.files(name)).await;
        unpaused.map_err(|source| self.failed(name, "started", source))?;
        Ok(Started {
            acceleration: record.acceleration.parse().unwrap_or_default(),
            timings: vec![("unpause".to_owned(), begin.elapsed())],
        })
    }
}
