//! Output on its way to a syslog daemon: lines wait in a queue of bounded size.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::driver::{Formatter, RemotePlan};
use super::lines;
use crate::error::Result;
use crate::ports::{Syslog, SyslogConnection, SyslogTarget};

/// How long one who does not answer is not called again.
const RETRY: Duration = Duration::from_secs(1);

/// A container's end of the queue. When it goes, so does whoever empties it.
pub(crate) struct Shipper {
    sender: mpsc::UnboundedSender<Message>,
    room: Arc<Semaphore>,
    size: usize,
    lossy: bool,
    partial: [Vec<u8>; 2],
    courier: AbortOnDropHandle<()>,
}

struct Message {
    stderr: bool,
    line: Vec<u8>,
    unix_nanos: i128,
    _room: OwnedSemaphorePermit,
}

impl Shipper {
    /// For a container that starts: it does not when nobody answers.
    pub(crate) async fn begin(syslog: Arc<dyn Syslog>, plan: RemotePlan) -> Result<Self> {
        let connection = syslog.connect(&plan.target).await?;
        Ok(Self::new(syslog, plan, Some(connection)))
    }

    /// For a container that an earlier daemon started: it goes on in any case.
    pub(crate) fn recover(
        syslog: Arc<dyn Syslog>,
        plan: RemotePlan,
        partial: [Vec<u8>; 2],
    ) -> Self {
        Self { partial, ..Self::new(syslog, plan, None) }
    }

    fn new(
        syslog: Arc<dyn Syslog>,
        plan: RemotePlan,
        connection: Option<Box<dyn SyslogConnection>>,
    ) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let RemotePlan { target, formatter, buffer, lossy } = plan;
        let courier = Courier { syslog, target, formatter, connection, silent_until: None };
        Self {
            sender,
            room: Arc::new(Semaphore::new(buffer)),
            size: buffer,
            lossy,
            partial: Default::default(),
            courier: AbortOnDropHandle::new(tokio::spawn(courier.run(receiver))),
        }
    }

    /// Puts output into the queue; waits for room there unless output may be lost.
    pub(super) async fn take(&mut self, stderr: bool, data: &[u8], unix_nanos: i128) {
        let mut found = Vec::new();
        let partial = &mut self.partial[usize::from(stderr)];
        let mut keep = |line: &[u8]| found.push(line.to_vec());
        if data.is_empty() {
            lines::flush(partial, keep);
        } else {
            lines::cut(partial, data, |line| {
                keep(line);
                ControlFlow::Continue(())
            });
        }
        for mut line in found {
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            if line.is_empty() {
                continue;
            }
            // Even the longest line fits an empty queue.
            let size = u32::try_from(line.len().min(self.size)).unwrap_or(u32::MAX);
            let room = Arc::clone(&self.room);
            let room = if self.lossy {
                room.try_acquire_many_owned(size).ok()
            } else {
                room.acquire_many_owned(size).await.ok()
            };
            if let Some(room) = room {
                drop(self.sender.send(Message { stderr, line, unix_nanos, _room: room }));
            }
        }
    }

    /// Waits until everything was sent.
    pub(super) async fn finish(self) {
        drop(self.sender);
        drop(self.courier.await);
    }
}

/// Empties the queue.
struct Courier {
    syslog: Arc<dyn Syslog>,
    target: SyslogTarget,
    formatter: Formatter,
    connection: Option<Box<dyn SyslogConnection>>,
    /// Nobody answered a moment ago.
    silent_until: Option<Instant>,
}

impl Courier {
    async fn run(mut self, mut receiver: mpsc::UnboundedReceiver<Message>) {
        while let Some(Message { stderr, line, unix_nanos, _room }) = receiver.recv().await {
            let message = self.formatter.message(stderr, &line, unix_nanos);
            self.deliver(&message).await;
        }
        if let Some(connection) = self.connection {
            connection.close().await;
        }
    }

    /// Once more over a new connection when the old one is broken; then the message is lost, as
    /// with dockerd.
    async fn deliver(&mut self, message: &[u8]) {
        if let Some(connection) = &mut self.connection {
            if connection.send(message).await.is_ok() {
                return;
            }
            self.connection = None;
        }
        if self.silent_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        let sent = match self.syslog.connect(&self.target).await {
            Ok(mut connection) => {
                let sent = connection.send(message).await;
                self.connection = Some(connection);
                sent
            }
            Err(error) => Err(error),
        };
        self.silent_until = None;
        if let Err(error) = sent {
            tracing::warn!(error = error.with_causes(), "output is not sent to the syslog daemon");
            self.silent_until = Some(Instant::now() + RETRY);
        }
    }
}

impl std::fmt::Debug for Shipper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shipper").field("lossy", &self.lossy).finish_non_exhaustive()
    }
}
