//! How a container gets other limits or another restart policy.

use super::super::state::{Decision, Phase, Request, decide};
use super::super::{spec, update};
use super::{Command, Reply, Task, answer};
use crate::config::HostConfig;
use crate::error::{Error, Result};

impl Task {
    pub(super) async fn update_requested(&mut self, change: Box<HostConfig>, reply: Reply<()>) {
        if decide(self.phase, Request::Update) == Decision::Defer {
            self.deferred.push_back(Command::Update { change, reply });
            return;
        }
        let within = format!("Cannot update container {}", self.record.id);
        let result = self.update(&change).await.map_err(|error: Error| error.within(&within));
        answer(reply, result);
    }

    async fn update(&mut self, change: &HostConfig) -> Result<()> {
        let mut host = self.record.host.clone();
        update::apply(&mut host, change)?;
        if matches!(self.phase, Phase::Running | Phase::Stopping) {
            self.core.runtime.update(&self.record.id, &spec::cgroup(&host)).await?;
        }
        self.record.host = host;
        self.commit().await;
        self.event("update", &[]);
        Ok(())
    }
}
