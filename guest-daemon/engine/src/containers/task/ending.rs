//! How a container ends: by a signal, by itself, by patience running out.

use std::time::Duration;

use engine_store::objects::StoredStatus;
use tokio::time::Instant;

use super::super::state::{Decision, Phase, Request, decide};
use super::super::{launch, restart, signals};
use super::{Command, Reply, StopReason, Task, answer};
use crate::error::{Error, Outcome, Result};
use crate::ports::{ExitStatus, ProcessId};

impl Task {
    pub(super) async fn stop(
        &mut self,
        signal: i32,
        grace: Option<Duration>,
        why: StopReason,
        reply: Reply<Outcome>,
    ) {
        match decide(self.phase, Request::Stop) {
            Decision::Defer => {
                self.deferred.push_back(Command::Stop { signal, grace, why, reply });
            }
            Decision::AlreadyDone => answer(reply, Ok(Outcome::AlreadyDone)),
            Decision::CancelRestart => {
                self.cancel_restart(why == StopReason::User).await;
                self.event("stop", &[]);
                answer(reply, Ok(Outcome::Done));
            }
            Decision::Act => {
                self.phase = Phase::Stopping;
                self.deadline = grace.map(|grace| Instant::now() + grace);
                self.end_is_final = true;
                self.keep = why == StopReason::Restart;
                if why == StopReason::User {
                    self.remember_manual_stop().await;
                }
                self.stoppers.push(reply);
                self.send_signal(signal).await;
                if signal != signals::KILL && grace == Some(Duration::ZERO) {
                    self.kill_now().await;
                }
            }
            _ => {
                // The least patient one counts.
                if let Some(grace) = grace {
                    let end = Instant::now() + grace;
                    self.deadline = Some(self.deadline.map_or(end, |known| known.min(end)));
                }
                self.stoppers.push(reply);
            }
        }
    }

    pub(super) async fn kill(&mut self, signal: i32, reply: Reply<()>) {
        match decide(self.phase, Request::Kill) {
            Decision::Defer => self.deferred.push_back(Command::Kill { signal, reply }),
            Decision::CancelRestart => {
                self.cancel_restart(true).await;
                answer(reply, Ok(()));
            }
            Decision::Act => {
                let stop_signal = self.record.config.stop_signal.as_deref();
                let stops = stop_signal.is_none_or(|own| signals::parse(own).ok() == Some(signal));
                if signal == signals::KILL || stops {
                    self.end_is_final = true;
                }
                self.remember_manual_stop().await;
                let result = self.try_signal(signal).await;
                if result.is_ok() {
                    self.event("kill", &[("signal", signal.to_string())]);
                    self.wake_for(signal).await;
                }
                answer(reply, result);
            }
            _ => answer(
                reply,
                Err(Error::conflict(format!("container {} is not running", self.record.id))),
            ),
        }
    }

    /// A crash before it has ended must not make the restart policy bring it back.
    async fn remember_manual_stop(&mut self) {
        let already = std::mem::replace(&mut self.record.manually_stopped, true);
        if !already && !matches!(self.record.host.restart_policy.name.as_str(), "" | "no") {
            self.commit().await;
        }
    }

    /// Sends the stop signal; a failure only makes the grace period longer than needed.
    pub(super) async fn send_signal(&mut self, signal: i32) {
        if let Err(error) = self.try_signal(signal).await {
            tracing::warn!(
                container = self.record.id,
                error = error.with_causes(),
                "a signal was not sent"
            );
        }
        self.event("kill", &[("signal", signal.to_string())]);
        self.wake_for(signal).await;
    }

    pub(super) async fn try_signal(&self, signal: i32) -> Result<()> {
        let state = &self.record.state;
        let process = ProcessId { pid: state.pid, start_time: state.process_start };
        if signal == signals::KILL {
            return self.core.runtime.kill_all(&self.record.id).await;
        }
        self.core.runtime.signal(process, signal).await
    }

    pub(super) async fn kill_now(&mut self) {
        self.deadline = None;
        self.end_is_final = true;
        self.send_signal(signals::KILL).await;
    }

    pub(super) async fn patience_is_over(&mut self) -> bool {
        self.deadline = None;
        match self.phase {
            Phase::Stopping => self.kill_now().await,
            Phase::Restarting => self.begin_launch(),
            Phase::Created | Phase::Starting | Phase::Running | Phase::Exited => {}
        }
        false
    }

    pub(super) async fn cancel_restart(&mut self, manually: bool) {
        self.deadline = None;
        self.phase = Phase::Exited;
        self.record.state.status = StoredStatus::Exited;
        self.record.manually_stopped |= manually;
        self.hub.end_run();
        self.commit().await;
    }

    /// The process has ended: everything that it had is taken back.
    pub(super) async fn exited(&mut self, status: Result<ExitStatus>) -> bool {
        let ran_for = self.began.elapsed();
        self.end_health();
        let now = self.core.clock.now();
        let status = status.unwrap_or_else(|error| {
            tracing::error!(
                container = self.record.id,
                error = error.with_causes(),
                "how a process ended is not known"
            );
            ExitStatus { code: 255, oom_killed: false, unix_nanos: now }
        });
        if status.oom_killed && !self.record.state.oom_killed {
            self.event("oom", &[]);
        }
        self.paused = false;
        let state = &mut self.record.state;
        state.exit_code = status.code;
        state.oom_killed = status.oom_killed;
        state.finished_at = Some(crate::time::to_stored(status.unix_nanos));
        state.pid = 0;
        let ended = restart::Ended {
            exit_code: status.code,
            cancelled: self.end_is_final,
            manually_stopped: self.record.manually_stopped,
            restarts: self.record.restart_count,
        };
        let again =
            restart::again(&self.record.host.restart_policy, ended) && self.removers.is_empty();
        launch::undo(&self.core, &self.record.id).await;
        self.network_event("disconnect");
        self.volumes_unmounted();
        let attributes = [
            ("exitCode", status.code.to_string()),
            ("execDuration", ran_for.as_secs().to_string()),
        ];
        self.event("die", &attributes);
        self.record.endpoint = None;
        self.record.published = Vec::new();
        self.deadline = None;
        self.exits += 1;
        if again {
            let wait = restart::next_wait(self.backoff, ran_for);
            self.backoff = Some(wait);
            self.deadline = Some(Instant::now() + wait);
            self.phase = Phase::Restarting;
            self.record.restart_count += 1;
            self.record.state.status = StoredStatus::Restarting;
        } else {
            self.phase = Phase::Exited;
            self.record.state.status = StoredStatus::Exited;
        }
        self.hub.end_run();
        if self.goes_now() {
            // A crash before it is gone finds it not running, and removes it as well.
            self.publish();
        } else {
            self.commit().await;
        }
        self.answer_ended().await
    }

    /// Whether the container is removed now that it has ended.
    fn goes_now(&self) -> bool {
        let automatic = self.record.host.auto_remove && !self.keep;
        !self.removers.is_empty() || (automatic && self.phase == Phase::Exited)
    }

    pub(super) fn started(&self) -> i128 {
        i128::from(self.record.state.started_at.unwrap_or(0))
    }

    /// Tells those who waited for the end, and removes the container where that was asked for.
    pub(super) async fn answer_ended(&mut self) -> bool {
        if !self.stoppers.is_empty() {
            self.event("stop", &[]);
        }
        for stopper in std::mem::take(&mut self.stoppers) {
            answer(stopper, Ok(Outcome::Done));
        }
        let goes = self.goes_now();
        self.keep = false;
        let removers = std::mem::take(&mut self.removers);
        if !goes {
            return false;
        }
        let volumes = self.record.host.auto_remove || removers.iter().any(|(volumes, _)| *volumes);
        let gone = self.remove(volumes).await;
        for (_, remover) in removers {
            answer(remover, if gone { Ok(()) } else { Err(self.not_removed()) });
        }
        gone
    }
}
