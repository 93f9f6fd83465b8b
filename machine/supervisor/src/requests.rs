//! Serves `supervisor.sock`: what other commands ask of a running machine.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use machine_lifecycle::driver::{DriverError, Observed, Stop};
use machine_qemu::qmp::RunState;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::files::SUPERVISOR_SOCKET;
use crate::journal::note;
use crate::protocol::{self, Reply, Request};
use crate::state::State;
use crate::vm::Vm;

/// QEMU answers in a millisecond.
const STATUS_BOUND: Duration = Duration::from_millis(400);
/// A command that connects has something to say.
const REQUEST_BOUND: Duration = Duration::from_secs(2);

/// What reads look at; they never wait for the owner.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) state: State,
    pub(crate) vm: Option<Arc<Vm>>,
}

/// Somebody wants the VM to end, and waits for it.
#[derive(Debug)]
pub(crate) struct StopRequest {
    pub(crate) how: Stop,
    pub(crate) done: oneshot::Sender<Result<(), DriverError>>,
}

pub(crate) fn listen() -> io::Result<UnixListener> {
    let path = Path::new(SUPERVISOR_SOCKET);
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

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
        stops: mpsc::Sender<StopRequest>,
    ) -> Self {
        let (open, answering) = mpsc::channel(1);
        let accepting = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let (snapshot, stops, open) =
                            (snapshot.clone(), stops.clone(), open.clone());
                        tokio::spawn(async move {
                            if let Err(error) = answer(stream, snapshot, stops).await {
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
    stops: mpsc::Sender<StopRequest>,
) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    let request = protocol::receive(&mut read);
    let Some(request) = tokio::time::timeout(REQUEST_BOUND, request).await?? else {
        return Ok(());
    };
    let reply = match request {
        Request::Observe => {
            let current = snapshot.borrow().clone();
            Reply::Observed { observed: observe(current).await }
        }
        Request::Stop { how } => {
            let (done, ended) = oneshot::channel();
            stops.send(StopRequest { how, done }).await.ok();
            match ended.await {
                Ok(Err(error)) => Reply::Failed { error: error.into() },
                // An owner that is gone has no VM any more.
                Ok(Ok(())) | Err(_) => Reply::Stopped,
            }
        }
    };
    write.write_all(&protocol::line(&reply)?).await
}

/// What the owner knows, unless QEMU itself knows better or does not answer.
async fn observe(snapshot: Snapshot) -> Observed {
    let known = snapshot.state.observed();
    let (Some(vm), Observed::Running | Observed::Paused) = (snapshot.vm, known) else {
        return known;
    };
    match tokio::time::timeout(STATUS_BOUND, vm.qmp.status()).await {
        Ok(Ok(status)) => observed(status, known),
        Ok(Err(_)) | Err(_) => Observed::Unresponsive,
    }
}

/// What QEMU's state of a VM that has been up means.
pub(crate) fn observed(status: RunState, otherwise: Observed) -> Observed {
    match status {
        RunState::running => Observed::Running,
        RunState::paused | RunState::io_error | RunState::suspended => Observed::Paused,
        RunState::internal_error | RunState::guest_panicked => Observed::Unresponsive,
        RunState::shutdown => Observed::Stopping,
        _ => otherwise,
    }
}
