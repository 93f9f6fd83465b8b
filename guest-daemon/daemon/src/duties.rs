//! What the host asks of a running guest: to take another identity, to grow its file system.

use std::sync::Arc;
use std::time::Duration;

use boot::{GuestMessage, TlsIdentity};
use guest_agent::{KernelEvents, PortWriter};
use guest_init::disk::{self, Grown};
use guest_init::handover;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::tls::Identity;

/// More requests at a time are refused.
const REQUESTS: usize = 16;
/// How long the kernel may take to notice that the disk is larger: the device's interrupt and the
/// host's request are on their way at the same time.
const NOTICED: Duration = Duration::from_secs(2);

/// One of the host's requests.
#[derive(Debug)]
pub(crate) enum Request {
    LoadIdentity { id: u64, tls: TlsIdentity },
    GrowDisk { id: u64 },
}

/// How they are fulfilled, as a trait so that the conversation can be tested anywhere.
#[async_trait::async_trait]
pub(crate) trait Duties: Send + Sync + 'static {
    async fn load_identity(&self, identity: TlsIdentity) -> Result<(), String>;
    /// Answers the file system's size in bytes.
    async fn grow_disk(&self) -> Result<u64, String>;
}

/// Fulfils requests one after another and answers them.
pub(crate) fn start(duties: Arc<dyn Duties>, writer: PortWriter) -> mpsc::Sender<Request> {
    let (requests, mut received) = mpsc::channel(REQUESTS);
    tokio::spawn(async move {
        while let Some(request) = received.recv().await {
            let answer = match request {
                Request::LoadIdentity { id, tls } => {
                    GuestMessage::IdentityLoaded { id, result: duties.load_identity(tls).await }
                }
                Request::GrowDisk { id } => {
                    GuestMessage::DiskGrown { id, result: duties.grow_disk().await }
                }
            };
            if say(&writer, &answer).await.is_err() {
                return;
            }
        }
    });
    requests
}

impl Request {
    /// The answer of a guest that has too many of them.
    pub(crate) fn refused(self) -> GuestMessage {
        let reason = "too many requests at a time".to_owned();
        match self {
            Request::LoadIdentity { id, .. } => {
                GuestMessage::IdentityLoaded { id, result: Err(reason) }
            }
            Request::GrowDisk { id } => GuestMessage::DiskGrown { id, result: Err(reason) },
        }
    }
}

/// Writes a message as a line.
pub(crate) async fn say(writer: &PortWriter, message: &GuestMessage) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    writer.write(line).await
}

/// This very guest.
pub(crate) struct Guest {
    identity: Arc<Identity>,
}

impl Guest {
    pub(crate) fn new(identity: Arc<Identity>) -> Self {
        Guest { identity }
    }
}

#[async_trait::async_trait]
impl Duties for Guest {
    async fn load_identity(&self, new: TlsIdentity) -> Result<(), String> {
        match self.identity.replace(&new, handover::remember_identity) {
            Ok(()) => {
                tracing::info!("new connections get a new identity");
                Ok(())
            }
            Err(error) => {
                tracing::warn!(because = format!("{error:#}"), "the old identity stays");
                Err(format!("{error:#}"))
            }
        }
    }

    async fn grow_disk(&self) -> Result<u64, String> {
        match grow_to_disk().await {
            Ok(Grown { bytes, changed }) => {
                tracing::info!(bytes, changed, "the data disk was looked at");
                Ok(bytes)
            }
            Err(error) => {
                tracing::warn!(%error, "the data disk does not grow");
                Err(error.to_string())
            }
        }
    }
}

/// Grows the file system to a disk that may be about to become larger.
async fn grow_to_disk() -> std::io::Result<Grown> {
    // Listens first, so that no event is missed between looking and waiting.
    let events = KernelEvents::listen()?;
    let deadline = Instant::now() + NOTICED;
    loop {
        let grown = tokio::task::spawn_blocking(disk::grow).await??;
        if grown.changed {
            return Ok(grown);
        }
        match tokio::time::timeout_at(deadline, events.next()).await {
            Ok(event) => event?,
            // There was nothing to grow to.
            Err(_) => return Ok(grown),
        }
    }
}
