//! Attaching to a container's streams.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Containers;
use super::detach::{DetachKeys, Scanned};
use super::task::attributes_of;
use super::types::{AttachOptions, Status};
use crate::error::{Error, Result};
use crate::logs::{From, Wanted, subscribe};
use crate::ports::ProcessInput;
use crate::streams::{AttachedInput, Attachment, Output, Stream};

/// Pieces of input that wait while the process does not read.
const INPUT_QUEUE: usize = 16;

impl Containers {
    /// Before or after start; every byte from the first is delivered when it is before.
    pub async fn attach(&self, reference: &str, options: AttachOptions) -> Result<Attachment> {
        let keys = DetachKeys::parse(&options.detach_keys)?;
        let handle = self.core.registry.find(reference)?;
        let snapshot = handle.look();
        let container = &snapshot.container;
        match container.state.status {
            Status::Paused => {
                return Err(Error::conflict(format!(
                    "container {reference} is paused, unpause the container before attach"
                )));
            }
            Status::Restarting => {
                return Err(Error::conflict(format!(
                    "container {reference} is restarting, wait until the container is running"
                )));
            }
            Status::Created
            | Status::Running
            | Status::Removing
            | Status::Exited
            | Status::Dead => {}
        }
        let config = &container.config;
        let wanted = Wanted { stdout: options.stdout, stderr: options.stderr };
        let from = if options.logs { From::Start } else { From::Now };
        let detached = CancellationToken::new();
        let output = if options.logs && handle.hub.log().is_none() {
            cannot_read_logs()
        } else if options.stream {
            subscribe(&handle.hub, wanted, from)
                .take_until(detached.clone().cancelled_owned())
                .boxed()
        } else if options.logs {
            let past = super::LogOptions {
                stdout: options.stdout,
                stderr: options.stderr,
                ..super::LogOptions::default()
            };
            self.logs(reference, past).await?.1
        } else {
            futures::stream::empty().boxed()
        };
        let input = (options.stdin && options.stream && config.open_stdin).then(|| {
            let (sender, receiver) = mpsc::channel(INPUT_QUEUE);
            let forward = forward_input(Forward {
                receiver,
                input: handle.hub.input(),
                keys: config.tty.then_some(keys),
                detached,
                close_at_end: config.stdin_once && !config.tty,
            });
            let (events, id) = (self.core.events.clone(), handle.id.clone());
            let attributes = attributes_of(container);
            let stop = self.core.stop.clone();
            let mut gone = handle.snapshot.clone();
            self.core.tasks.spawn(async move {
                tokio::select! {
                    was_detached = forward => if was_detached {
                        events.publish("container", "detach", &id, attributes);
                    },
                    _ = gone.wait_for(|snapshot| snapshot.removed) => {}
                    () = stop.cancelled() => {}
                }
            });
            AttachedInput::new(sender)
        });
        let attributes = attributes_of(container);
        self.core.events.publish("container", "attach", &handle.id, attributes);
        Ok(Attachment { tty: config.tty, input, output })
    }
}

/// The answer's head is out by then, so this is where the client is told.
fn cannot_read_logs() -> BoxStream<'static, Result<Output>> {
    let text = "Error attaching: configured logging driver does not support reading\n";
    let output = Output { stream: Stream::Stdout, data: Bytes::from_static(text.as_bytes()) };
    futures::stream::iter([Ok(output)]).boxed()
}

/// A client's input on its way to a process.
pub(crate) struct Forward {
    pub receiver: mpsc::Receiver<Bytes>,
    pub input: watch::Receiver<Option<Arc<dyn ProcessInput>>>,
    /// With a terminal: what ends the attachment and not the process.
    pub keys: Option<DetachKeys>,
    /// Set when the keys were seen.
    pub detached: CancellationToken,
    /// The process sees the end of the client's input.
    pub close_at_end: bool,
}

/// Moves input until the client or the process has had enough; `true` when the client detached.
pub(crate) async fn forward_input(mut forward: Forward) -> bool {
    while let Some(data) = forward.receiver.recv().await {
        let (data, detach) = match &mut forward.keys {
            None => (data, false),
            Some(keys) => match keys.scan(&data) {
                Scanned::Pass(data) => (Bytes::from(data), false),
                Scanned::Detach(data) => (Bytes::from(data), true),
            },
        };
        if !data.is_empty() {
            let Some(input) = running(&mut forward.input).await else { return false };
            if input.write_all(&data).await.is_err() {
                // The process reads no more; the client learns it from its next try.
                return false;
            }
        }
        if detach {
            forward.detached.cancel();
            return true;
        }
    }
    if forward.close_at_end
        && let Some(input) = running(&mut forward.input).await
        && let Err(error) = input.close().await
    {
        tracing::debug!(error = error.with_causes(), "standard input was closed already");
    }
    false
}

/// The process's input, as soon as there is a process.
async fn running(
    input: &mut watch::Receiver<Option<Arc<dyn ProcessInput>>>,
) -> Option<Arc<dyn ProcessInput>> {
    let found = input.wait_for(Option::is_some).await.ok()?;
    (*found).clone()
}
