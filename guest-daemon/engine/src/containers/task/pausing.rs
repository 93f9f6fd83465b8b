//! How a container's processes are stopped where they are, and let run on.

use super::super::signals;
use super::super::state::{Decision, Request, decide};
use super::{Command, Reply, Task, answer};
use crate::error::{Error, Kind, Result};

impl Task {
    pub(super) async fn pause_requested(&mut self, reply: Reply<()>) {
        match decide(self.phase, Request::Pause) {
            Decision::Defer => self.deferred.push_back(Command::Pause(reply)),
            Decision::Act => {
                let result = self.pause().await;
                answer(reply, result);
            }
            refused => answer(reply, Err(self.not_pausable(refused))),
        }
    }

    pub(super) async fn unpause_requested(&mut self, reply: Reply<()>) {
        if decide(self.phase, Request::Pause) == Decision::Defer {
            self.deferred.push_back(Command::Unpause(reply));
            return;
        }
        let result = self.unpause().await;
        answer(reply, result);
    }

    fn not_pausable(&self, decision: Decision) -> Error {
        let id = &self.record.id;
        Error::conflict(match decision {
            Decision::RefuseRestarting => {
                format!("Container {id} is restarting, wait until the container is running")
            }
            _ => format!("container {id} is not running"),
        })
    }

    async fn pause(&mut self) -> Result<()> {
        let id = self.record.id.clone();
        if self.paused {
            return Err(Error::conflict(format!("Container {id} is already paused")));
        }
        let within = |error: Error| error.within(&format!("Cannot pause container {id}"));
        self.core.runtime.pause(&id).await.map_err(within)?;
        self.paused = true;
        self.end_health();
        self.publish();
        self.event("pause", &[]);
        Ok(())
    }

    async fn unpause(&mut self) -> Result<()> {
        let id = self.record.id.clone();
        if !self.paused {
            return Err(Error::new(Kind::Internal, format!("Container {id} is not paused")));
        }
        let within = |error: Error| error.within(&format!("Cannot unpause container {id}"));
        self.core.runtime.resume(&id).await.map_err(within)?;
        self.paused = false;
        self.watch_health();
        self.publish();
        self.event("unpause", &[]);
        Ok(())
    }

    /// A signal that is to end a paused container also has it run on, or it would not be heard.
    /// SIGKILL is.
    pub(super) async fn wake_for(&mut self, signal: i32) {
        let own = self.record.config.stop_signal.as_deref().filter(|own| !own.is_empty());
        let ends = own.is_none_or(|own| signals::parse(own).ok() == Some(signal));
        if self.paused
            && signal != signals::KILL
            && ends
            && let Err(error) = self.unpause().await
        {
            tracing::warn!(error = error.with_causes(), "a signal is not heard");
        }
    }
}
