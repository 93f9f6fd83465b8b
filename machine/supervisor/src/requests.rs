//! Serves `supervisor.sock`: what other commands ask of a running machine.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use machine_lifecycle::driver::{DriverError, Observed, Stop};
use machine_qemu::qmp::RunState;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::journal::note;
use crate::protocol::{self, Order, Reply, Request};
use crate::state::State;
use crate::vm::Vm;

/// How often the one who waits is told that it is worth waiting.
const PULSE: Duration = Duration::from_secs(1);
/// A command that connects has something to say.
const REQUEST_BOUND: Duration = Duration::from_secs(2);

/// What reads look at; they never wait for the owner.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) state: State,
    pub(crate) vm: Option<Arc<Vm>>,
    /// It is being saved: QEMU may be slow to answer, and its state means nothing.
    pub(crate) saving: bool,
}

impl Snapshot {
    pub(crate) fn new(state: State, vm: Option<Arc<Vm>>) -> Self {
        Self { state, vm, saving: false }
    }
}

/// Somebody wants something of the owner, and waits for it.
#[derive(Debug)]
pub(crate) struct Demand {
    pub(crate) what: What,
    pub(crate) done: Done,
}

#[derive(Debug)]
pub(crate) enum What {
    /// Done when the VM is gone.
    Stop(Stop),
    Order(Order),
}

/// To the one who waits; it is closed when nobody does any more.
pub(crate) type Done = oneshot::Sender<Result<(), DriverError>>;

/// The task that answers other commands.
#[derive(Debug)]
pub(crate) struct Server {
    accepting: JoinHandle<()>,
    /// Closed when the last answer has been written.
    answering: mpsc::Receiver<Infallible>,
}

impl Server {
    pub(crate) fn start(
        listener: UnixListener,
        snapshot: watch::Receiver<Snapshot>,
        demands: mpsc::Sender<Demand>,
    ) -> Self {
        let (open, answering) = mpsc::channel(1);
        let accepting = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let (snapshot, demands, open) =
                            (snapshot.clone(), demands.clone(), open.clone());
                        tokio::spawn(async move {
                            if let Err(error) = answer(stream, snapshot, demands).await {
                                note(format_args!("a request was not answered: {error}"));
                            }
                            drop(open);
                        });
                    }
                    Err(error) => {
                        // Out of descriptors, say; a moment later there may be one again.
                        note(format_args!("no request can be accepted: {error}"));
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        Self { accepting, answering }
    }

    /// Accepts no more, and returns when those who have asked have their answers.
    pub(crate) async fn finish(mut self) {
        self.accepting.abort();
        tokio::time::timeout(REQUEST_BOUND, self.answering.recv()).await.ok();
    }
}

async fn answer(
    mut stream: UnixStream,
    snapshot: watch::Receiver<Snapshot>,
    demands: mpsc::Sender<Demand>,
) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    let request = protocol::receive(&mut read);
    let Some(request) = tokio::time::timeout(REQUEST_BOUND, request).await?? else {
        return Ok(());
    };
    let (done, result) = oneshot::channel();
    let reply = match request {
        Request::Observe { within_ms } => {
            Reply::Observed { observed: observe(snapshot, Duration::from_millis(within_ms)).await }
        }
        Request::Stop { how } => {
            demands.send(Demand { what: What::Stop(how), done }).await.ok();
            // An owner that is gone has no VM any more.
            reply(result.await.unwrap_or(Ok(())))
        }
        Request::Order { order } => {
            demands.send(Demand { what: What::Order(order), done }).await.ok();
            match while_somebody_waits(&mut read, &mut write, result).await? {
                Some(result) => reply(result),
                None => return Ok(()),
            }
        }
    };
    write.write_all(&protocol::line(&reply)?).await
}

fn reply(result: Result<(), DriverError>) -> Reply {
    match result {
        Ok(()) => Reply::Done,
        Err(error) => Reply::Failed { error: error.into() },
    }
}

/// The result; `None` if the one who asked has gone away, which the owner learns by its drop.
async fn while_somebody_waits(
    read: &mut (impl AsyncRead + Unpin),
    write: &mut (impl AsyncWrite + Unpin),
    mut result: oneshot::Receiver<Result<(), DriverError>>,
) -> io::Result<Option<Result<(), DriverError>>> {
    let mut pulse = tokio::time::interval_at(Instant::now() + PULSE, PULSE);
    let mut byte = [0];
    loop {
        tokio::select! {
            result = &mut result => {
                let gone = DriverError::Failed("the machine has ended".to_owned());
                return Ok(Some(result.unwrap_or(Err(gone))));
            }
            _ = pulse.tick() => write.write_all(&protocol::line(&Reply::Working)?).await?,
            more = read.read(&mut byte) => if more? == 0 {
                return Ok(None);
            }
        }
    }
}

/// What the owner knows, unless QEMU itself knows better or does not answer.
async fn observe(mut snapshot: watch::Receiver<Snapshot>, patience: Duration) -> Observed {
    let current = snapshot.borrow_and_update().clone();
    let known = current.state.observed();
    let (Some(vm), Observed::Running | Observed::Paused) = (current.vm, known) else {
        return known;
    };
    if current.saving {
        return Observed::Paused;
    }
    let asked = async {
        match vm.qmp.status().await {
            Ok(status) => observed(status, known),
            // QEMU has hung up: its owner is about to know that it has ended.
            Err(_) => match snapshot.changed().await {
                Ok(()) => snapshot.borrow().state.observed(),
                Err(_) => Observed::Stopped,
            },
        }
    };
    tokio::time::timeout(patience, asked).await.unwrap_or(Observed::Unresponsive)
}

/// What QEMU's state of a VM that has been up means.
pub(crate) fn observed(status: RunState, otherwise: Observed) -> Observed {
    match status {
        RunState::running => Observed::Running,
        RunState::paused
        | RunState::io_error
        | RunState::suspended
        | RunState::finish_migrate
        | RunState::postmigrate
        | RunState::save_vm => Observed::Paused,
        RunState::prelaunch | RunState::inmigrate => Observed::Starting,
        RunState::internal_error | RunState::guest_panicked => Observed::Unresponsive,
        RunState::shutdown => Observed::Stopping,
        _ => otherwise,
    }
}
