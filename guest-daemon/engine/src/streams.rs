//! Streams between a client and a process, without any wire format.

use bytes::Bytes;
use futures::stream::BoxStream;

use crate::error::Result;

/// Which of a process's streams bytes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Some output of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub stream: Stream,
    pub data: Bytes,
}

/// A client attached to a process: what it sends and what it sees.
pub struct Attachment {
    /// Whether the process has a terminal (then the output is not multiplexed).
    pub tty: bool,
    /// Where the client's input goes, if the client asked for standard input.
    pub input: Option<AttachedInput>,
    /// Ends when the process has ended and everything was delivered, or when the client detached.
    pub output: BoxStream<'static, Result<Output>>,
}

/// The client's way to standard input.
pub struct AttachedInput {
    sender: tokio::sync::mpsc::Sender<Bytes>,
}

impl AttachedInput {
    pub fn new(sender: tokio::sync::mpsc::Sender<Bytes>) -> Self {
        Self { sender }
    }

    /// Hands over some input; waits while the process does not read. `false` when nobody will
    /// read it any more. Dropping the value is the end of the client's input. Detach keys are
    /// recognised behind this, by the engine.
    pub async fn send(&self, data: Bytes) -> bool {
        self.sender.send(data).await.is_ok()
    }
}

impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attachment").field("tty", &self.tty).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for AttachedInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AttachedInput").finish_non_exhaustive()
    }
}
