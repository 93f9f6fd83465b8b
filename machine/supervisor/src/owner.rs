//! The one task that owns a running VM: hears QEMU, the guest, the host's clock and other commands,
//! until QEMU is gone.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use boot::{GuestMessage, HostMessage, TlsIdentity};
use machine_lifecycle::driver::{DriverError, Stop, VmSpec};
use machine_qemu::qmp::Event;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::clock::{self, Because, JumpWatch};
use crate::ending;
use crate::forward::Forwards;
use crate::journal::note;
use crate::operations::{CameTo, Finished, Operation, load_identity};
use crate::protocol::Order;
use crate::requests::{Demand, Done, Snapshot, What};
use crate::save::Job;
use crate::state::{Happening, State};
use crate::vm::{Sources, Vm, ended};

/// How soon a sleep of the host is noticed.
const CLOCK_TICK: Duration = Duration::from_secs(1);
/// How often the guest's clock is compared with the host's: an emulated one gains or loses several
/// milliseconds a second.
const DRIFT_CHECK: Duration = Duration::from_secs(10);
/// What a guest gets when the supervisor itself is told to end.
const GRACE_AT_SIGNAL: Duration = Duration::from_secs(10);
/// How long an operation may take to clean up after QEMU has ended.
const CLEAN_UP_BOUND: Duration = Duration::from_secs(5);

pub(crate) struct Owner {
    vm: Arc<Vm>,
    sources: Sources,
    forwards: Forwards,
    snapshot: watch::Sender<Snapshot>,
    name: String,
    disk: PathBuf,
    own_ports: [u16; 2],
    /// The API's identity, if the guest's daemon would begin with another one.
    pub(crate) identity: Option<TlsIdentity>,
    operation: Option<Operation>,
    /// To be ended as soon as no operation is under way.
    pub(crate) to_end: Option<Stop>,
    pub(crate) waiting: Waiting,
}

/// Who waits for the end, and what they are told then.
pub(crate) type Waiting = Vec<(Done, Result<(), DriverError>)>;

impl Owner {
    pub(crate) fn new(
        vm: Arc<Vm>,
        sources: Sources,
        forwards: Forwards,
        snapshot: watch::Sender<Snapshot>,
        spec: &VmSpec,
    ) -> Self {
        Self {
            vm,
            sources,
            forwards,
            snapshot,
            name: spec.machine.name.clone(),
            disk: spec.disk.clone(),
            own_ports: [spec.api_port, spec.ssh_port],
            identity: None,
            operation: None,
            to_end: None,
            waiting: Waiting::new(),
        }
    }

    /// Serves until QEMU is gone; then those who waited for that are to be told.
    pub(crate) async fn serve(
        mut self,
        demands: &mut mpsc::Receiver<Demand>,
        mut terminate: Option<Signal>,
    ) -> Waiting {
        let mut ticks = tokio::time::interval(CLOCK_TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut jumps = JumpWatch::new(SystemTime::now(), Instant::now());
        let mut drift_checked = Instant::now();
        clock::correct(self.vm.clone(), Because::Started);
        let (ending_failed, mut failures) = mpsc::channel(4);
        loop {
            if self.operation.is_none()
                && let Some(how) = self.to_end.take()
            {
                self.end(how, &ending_failed);
            }
            tokio::select! {
                reason = ended(&mut self.sources.exit) => {
                    note(format_args!("the machine has ended: {reason}"));
                    self.happens(Happening::Ended);
                    self.clean_up().await;
                    return self.waiting;
                }
                Some(event) = self.sources.events.recv() => self.hear(event).await,
                Some(message) = self.sources.guest.recv() => self.obey(message).await,
                Some(demand) = demands.recv() => match demand.what {
                    What::Stop(how) => self.stop(how, demand.done, &ending_failed),
                    What::Order(order) => self.accept(order, demand.done),
                },
                finished = Operation::finished(&mut self.operation) => self.conclude(finished),
                () = told_to_end(&mut terminate) => {
                    self.to_end = Some(Stop::Gracefully(GRACE_AT_SIGNAL));
                }
                Some(error) = failures.recv() => {
                    let text = DriverError::to_string(&error);
                    for (waiting, _) in self.waiting.drain(..) {
                        waiting.send(Err(DriverError::Failed(text.clone()))).ok();
                    }
                }
                _ = ticks.tick() => {
                    let jumped = jumps.jumped(SystemTime::now(), Instant::now());
                    // Who stands still would only be buried under questions.
                    if self.snapshot.borrow().state != State::Running {
                        continue;
                    }
                    if jumped {
                        clock::correct(self.vm.clone(), Because::Jumped);
                    } else if drift_checked.elapsed() > DRIFT_CHECK {
                        drift_checked = Instant::now();
                        clock::correct(self.vm.clone(), Because::MayHaveDrifted);
                    }
                }
            }
        }
    }

    fn happens(&self, happening: Happening) {
        self.snapshot.send_modify(|snapshot| snapshot.state = snapshot.state.after(happening));
    }

    fn stop(&mut self, how: Stop, done: Done, failed: &mpsc::Sender<DriverError>) {
        let saves = self.operation.as_ref().is_some_and(|operation| operation.saves);
        match how {
            Stop::Kill => {
                self.waiting.push((done, Ok(())));
                self.end(how, failed);
            }
            Stop::Gracefully(_) if saves => {
                done.send(Err(self.busy())).ok();
            }
            Stop::Gracefully(_) => {
                self.waiting.push((done, Ok(())));
                self.to_end = Some(how);
            }
        }
    }

    fn busy(&self) -> DriverError {
        DriverError::Busy { name: self.name.clone() }
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

    fn accept(&mut self, order: Order, done: Done) {
        let state = self.snapshot.borrow().state;
        let refusal = match (state, &order) {
            _ if self.operation.is_some() => self.busy(),
            (State::Running, _) => return self.begin(order, done),
            (State::Paused, Order::GrowDisk { .. } | Order::LoadIdentity { .. }) => {
                DriverError::Failed("the guest stands still".to_owned())
            }
            (State::Paused, _) => return self.begin(order, done),
            (state, _) => DriverError::Failed(format!("the machine is {}", state.phase())),
        };
        done.send(Err(refusal)).ok();
    }

    fn begin(&mut self, order: Order, done: Done) {
        let job = Job { vm: self.vm.clone(), disk: self.disk.clone(), own_ports: self.own_ports };
        let operation = Operation::start(job, order, done);
        self.snapshot.send_modify(|snapshot| snapshot.saving = operation.saves);
        self.operation = Some(operation);
    }

    fn conclude(&mut self, finished: Finished) {
        self.snapshot.send_modify(|snapshot| snapshot.saving = false);
        let Finished { done, result, came_to } = finished;
        if let Err(error) = &result {
            note(format_args!("an order was not carried out: {error}"));
        }
        match came_to {
            CameTo::Nothing => {}
            // It is told when there is nothing left of it.
            CameTo::End => {
                self.waiting.extend(done.map(|done| (done, result)));
                return;
            }
            CameTo::Identity(tls) => self.identity = Some(*tls),
        }
        done.and_then(|done| done.send(result).ok());
    }

    /// QEMU is gone; an operation that was under way notices that, and removes what it began.
    async fn clean_up(&mut self) {
        if self.operation.is_some() {
            let finished = Operation::finished(&mut self.operation);
            if let Ok(Finished { done: Some(done), result, .. }) =
                tokio::time::timeout(CLEAN_UP_BOUND, finished).await
            {
                self.waiting.push((done, result));
            }
        }
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
                clock::correct(self.vm.clone(), Because::Jumped);
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
                self.renew_identity();
            }
            GuestMessage::Publish { id, forward } => {
                let result = self.forwards.publish(qmp, &forward).await;
                self.vm.tell(&HostMessage::Published { id, result }).await;
            }
            GuestMessage::Unpublish { id, forward } => {
                let result = self.forwards.unpublish(qmp, &forward).await;
                self.vm.tell(&HostMessage::Unpublished { id, result }).await;
            }
            GuestMessage::IdentityLoaded { id, result } => self.vm.answered(id, result),
            GuestMessage::DiskGrown { id, result } => self.vm.answered(id, result.map(drop)),
            GuestMessage::Forwards { forwards } => {
                self.forwards.reconcile(qmp, &forwards).await;
            }
        }
    }

    /// A daemon that has started anew has the identity that it was booted with.
    fn renew_identity(&self) {
        let Some(tls) = self.identity.clone() else { return };
        let vm = self.vm.clone();
        tokio::spawn(async move {
            if let Err(reason) = load_identity(&vm, tls).await {
                note(format_args!("the guest keeps its earlier certificate: {reason}"));
            }
        });
    }
}

/// Waits for the next signal; for ever, if signals cannot be had.
pub(crate) async fn told_to_end(signals: &mut Option<Signal>) {
    match signals {
        Some(signals) => drop(signals.recv().await),
        None => std::future::pending().await,
    }
}
