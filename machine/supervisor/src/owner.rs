//! The one task that owns a running VM: hears QEMU, the guest, the host's clock and other commands,
//! until QEMU is gone.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use boot::{GuestMessage, HostMessage};
use machine_lifecycle::driver::{DriverError, Stop};
use machine_qemu::qmp::Event;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use crate::clock::{JumpWatch, is_off};
use crate::ending;
use crate::forward::Forwards;
use crate::journal::note;
use crate::requests::{Snapshot, StopRequest};
use crate::state::Happening;
use crate::vm::{Sources, Vm, ended};

/// How soon a sleep of the host is noticed.
const CLOCK_TICK: Duration = Duration::from_secs(1);
/// How often the guest's clock is compared with the host's: an emulated one gains or loses several
/// milliseconds a second.
const DRIFT_CHECK: Duration = Duration::from_secs(10);
const AGENT_BOUND: Duration = Duration::from_secs(1);
/// What a guest gets when the supervisor itself is told to end.
const GRACE_AT_SIGNAL: Duration = Duration::from_secs(10);

pub(crate) struct Owner {
    pub(crate) vm: Arc<Vm>,
    pub(crate) sources: Sources,
    pub(crate) forwards: Forwards,
    pub(crate) snapshot: watch::Sender<Snapshot>,
    pub(crate) stops: mpsc::Receiver<StopRequest>,
}

/// Who asked for the end and waits for it.
pub(crate) type Waiting = Vec<oneshot::Sender<Result<(), DriverError>>>;

impl Owner {
    /// Serves until QEMU is gone; then those who waited for that are to be told.
    pub(crate) async fn serve(mut self) -> (Waiting, mpsc::Receiver<StopRequest>) {
        let mut waiting = Waiting::new();
        let mut terminate = signal(SignalKind::terminate()).ok();
        let mut ticks = tokio::time::interval(CLOCK_TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut jumps = JumpWatch::new(SystemTime::now(), Instant::now());
        let mut drift_checked = Instant::now();
        set_clock(self.vm.clone(), Because::Started);
        let (ending_failed, mut failures) = mpsc::channel(4);
        loop {
            tokio::select! {
                reason = ended(&mut self.sources.exit) => {
                    note(format_args!("the machine has ended: {reason}"));
                    self.happens(Happening::Ended);
                    return (waiting, self.stops);
                }
                Some(event) = self.sources.events.recv() => self.hear(event).await,
                Some(message) = self.sources.guest.recv() => self.obey(message).await,
                Some(request) = self.stops.recv() => {
                    waiting.push(request.done);
                    self.end(request.how, &ending_failed);
                }
                Some(()) = receive(&mut terminate) => {
                    self.end(Stop::Gracefully(GRACE_AT_SIGNAL), &ending_failed);
                }
                Some(error) = failures.recv() => {
                    let text = DriverError::to_string(&error);
                    for waiting in waiting.drain(..) {
                        waiting.send(Err(DriverError::Failed(text.clone()))).ok();
                    }
                }
                _ = ticks.tick() => {
                    if jumps.jumped(SystemTime::now(), Instant::now()) {
                        set_clock(self.vm.clone(), Because::Jumped);
                    } else if drift_checked.elapsed() > DRIFT_CHECK {
                        drift_checked = Instant::now();
                        set_clock(self.vm.clone(), Because::MayHaveDrifted);
                    }
                }
            }
        }
    }

    fn happens(&self, happening: Happening) {
        self.snapshot.send_modify(|snapshot| snapshot.state = snapshot.state.after(happening));
    }

    /// Begins to end the VM; the end itself is heard of like any other.
    fn end(&self, how: Stop, failed: &mpsc::Sender<DriverError>) {
        self.happens(Happening::StopRequested);
        let (vm, failed) = (self.vm.clone(), failed.clone());
        tokio::spawn(async move {
            if let Err(error) = ending::end(vm, how).await {
                failed.send(error).await.ok();
            }
        });
    }

    async fn hear(&mut self, event: Event) {
        match event {
            Event::Stopped => {
                let status = self.vm.qmp.status().await;
                note(format_args!("the guest stands still: {status:?}"));
                self.happens(Happening::Paused);
            }
            Event::Resumed => {
                self.happens(Happening::Resumed);
                set_clock(self.vm.clone(), Because::Jumped);
            }
            Event::Reset => {
                note("the guest restarts");
                self.happens(Happening::Reset);
                self.forwards.forget(&self.vm.qmp).await;
            }
            Event::Panicked => note("the guest panicked"),
            Event::Shutdown { reason } => note(format_args!("QEMU ends: {reason}")),
            Event::PortOpened { .. } | Event::Other(_) => {}
        }
    }

    pub(crate) async fn obey(&mut self, message: GuestMessage) {
        let qmp = &self.vm.qmp;
        match message {
            GuestMessage::Ready { version, .. } => {
                note(format_args!("the guest's daemon {version} is ready"));
                self.happens(Happening::Ready);
            }
            GuestMessage::Publish { id, forward } => {
                let result = self.forwards.publish(qmp, &forward).await;
                self.vm.tell(&HostMessage::Published { id, result }).await;
            }
            GuestMessage::Unpublish { id, forward } => {
                let result = self.forwards.unpublish(qmp, &forward).await;
                self.vm.tell(&HostMessage::Unpublished { id, result }).await;
            }
            GuestMessage::Forwards { forwards } => {
                self.forwards.reconcile(qmp, &forwards).await;
            }
        }
    }
}

/// The next signal; never, if signals cannot be had.
async fn receive(signals: &mut Option<tokio::signal::unix::Signal>) -> Option<()> {
    match signals {
        Some(signals) => signals.recv().await,
        None => std::future::pending().await,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Because {
    Started,
    Jumped,
    MayHaveDrifted,
}

/// Gives the guest the host's time, without keeping the owner from its work. An agent that is not
/// there is no trouble: the next one will be.
fn set_clock(vm: Arc<Vm>, because: Because) {
    tokio::spawn(async move {
        let mut agent = vm.agent.lock().await;
        if because != Because::Jumped {
            let asked = SystemTime::now();
            let Ok(guest) = agent.time(AGENT_BOUND).await else { return };
            let guest = UNIX_EPOCH + Duration::from_nanos(u64::try_from(guest).unwrap_or(0));
            if !is_off(guest, asked, SystemTime::now()) {
                return;
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanoseconds = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        match agent.set_time(nanoseconds, AGENT_BOUND).await {
            Ok(()) => note(format_args!("the guest's clock was set ({because:?})")),
            Err(error) => note(format_args!("the guest's clock was not set: {error}")),
        }
    });
}
