//! The health checks of a running container: one probe after the other, until it stands still.

use std::time::Duration;

use engine_store::objects::{HealthStatus, ProbeRecord};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::core::Core;
use super::super::health::{self, Plan};
use super::{Command, Task};
use crate::exec::{Probe, probe};

/// A probe's result on its way to the container's task.
pub(crate) struct Probed {
    result: ProbeRecord,
    /// How long the container had run when the probe began.
    since_start: Duration,
    /// Cancelled when the result comes too late to mean anything.
    token: CancellationToken,
    next: oneshot::Sender<HealthStatus>,
}

impl Task {
    /// For a process that has just started, or was taken over.
    pub(super) fn begin_health(&mut self) {
        if health::command(&self.record.config).is_some() {
            let health = self.record.state.health.get_or_insert_default();
            health.status = HealthStatus::Starting;
            health.failing_streak = 0;
            self.watch_health();
        }
    }

    /// Probes from now on.
    pub(super) fn watch_health(&mut self) {
        let Some(command) = health::command(&self.record.config) else { return };
        let token = CancellationToken::new();
        let monitor = Monitor {
            core: self.core.clone(),
            container: self.record.id.clone(),
            command,
            plan: Plan::of(&self.record.config),
            began: self.began,
            status: self.record.state.health.get_or_insert_default().status,
            token: token.clone(),
        };
        self.core.tasks.spawn(monitor.run(self.own.clone()));
        self.probing = Some(token.drop_guard());
    }

    /// Nothing is probed that does not run; what is not probed counts as unhealthy.
    pub(super) fn end_health(&mut self) {
        if self.probing.take().is_some()
            && let Some(health) = &mut self.record.state.health
        {
            health.status = HealthStatus::Unhealthy;
        }
    }

    pub(super) fn probed(&mut self, probed: Probed) {
        let Some(health) = self.record.state.health.as_mut() else { return };
        if probed.token.is_cancelled() {
            return;
        }
        let plan = Plan::of(&self.record.config);
        let changed = plan.take(health, probed.result, probed.since_start);
        let status = health.status;
        // Not stored: after a crash the checks begin anew, and a write for each would wear the disk.
        self.publish();
        if changed {
            self.event(&format!("health_status: {}", status.name()), &[]);
        }
        if probed.next.send(status).is_err() {
            tracing::debug!(container = self.record.id, "nobody probes any more");
        }
    }
}

/// Probes one container at the right moments.
struct Monitor {
    core: Core,
    container: String,
    command: Vec<String>,
    plan: Plan,
    began: Instant,
    status: HealthStatus,
    token: CancellationToken,
}

impl Monitor {
    async fn run(mut self, task: tokio::sync::mpsc::Sender<Command>) {
        loop {
            let wait = self.plan.wait(self.status, self.began.elapsed());
            tokio::select! {
                biased;
                () = self.core.stop.cancelled() => return,
                () = self.token.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            let since_start = self.began.elapsed();
            let request = Probe {
                container: &self.container,
                command: self.command.clone(),
                timeout: self.plan.timeout,
            };
            let Some(result) = probe(&self.core, request, &self.token).await else { return };
            let (next, status) = oneshot::channel();
            let probed = Probed { result, since_start, token: self.token.clone(), next };
            drop(task.send(Command::Probed(Box::new(probed))).await);
            match status.await {
                Ok(status) => self.status = status,
                Err(_) => return,
            }
        }
    }
}
