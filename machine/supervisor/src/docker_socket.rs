//! `docker.sock`: the API as a plain socket in the machine's directory, for tools that look for
//! one. Only the user can open it; to the API it is the machine's client.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::files::{self, DOCKER_SOCKET};
use crate::journal::note;

/// Those who come when so many are open wait until one is closed.
const MOST_CONNECTIONS: usize = 256;
/// A guest that stands still takes a connection and says nothing.
const CONNECT_BOUND: Duration = Duration::from_secs(10);
/// What is on its way in each direction of a connection.
const BUFFER: usize = 32 << 10;

/// Relays until it is dropped; connections that are open then go on until this process ends.
#[derive(Debug)]
pub(crate) struct DockerSocket {
    accepting: JoinHandle<()>,
}

impl Drop for DockerSocket {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl DockerSocket {
    pub(crate) fn start(client: Arc<Client>) -> io::Result<Self> {
        let listener = files::listen(DOCKER_SOCKET)?;
        Ok(Self { accepting: tokio::spawn(accept(listener, client)) })
    }
}

async fn accept(listener: UnixListener, client: Arc<Client>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    while let Ok(place) = room.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let client = client.clone();
                tokio::spawn(async move {
                    relay(stream, &client).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors, say; a moment later there may be one again.
                note(format_args!("no connection to the API can be accepted: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Passes on bytes and the end of either direction. What the bytes mean is between the two.
async fn relay(mut stream: UnixStream, client: &Client) {
    let mut api = match tokio::time::timeout(CONNECT_BOUND, client.connect()).await {
        Ok(Ok(api)) => api,
        Ok(Err(error)) => return note(format_args!("a connection was not relayed: {error}")),
        Err(_) => return note("a connection was not relayed: the guest does not answer"),
    };
    // One side has gone away in the middle; the other one learns that by the end of the stream.
    copy_bidirectional_with_sizes(&mut stream, &mut api, BUFFER, BUFFER).await.ok();
}
