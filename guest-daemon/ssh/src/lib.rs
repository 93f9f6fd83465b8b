//! The guest's SSH server: shell, commands, terminals, files, forwarded connections.
//!
//! **Invariant:** who has one of the machine's keys is root; nobody else gets beyond the key
//! exchange, and nobody else may keep a connection for long.

mod forward;
mod handler;
mod keys;
mod queue;
mod relay;
mod sftp;
mod shell;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use boot::SshIdentity;
use russh::keys::PublicKey;
use russh::server::Config;
use russh::{Disconnect, MethodKind, MethodSet, SshId};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

use crate::handler::Login;
pub use crate::keys::IdentityError;

/// The engine's socket within the guest.
const ENGINE: &str = "/var/run/docker.sock";
/// Connections at a time.
const CONNECTIONS: usize = 64;
/// How long a client may take to prove its key.
const LOGIN: Duration = Duration::from_secs(30);
/// How many keys a client may try; people have several.
const ATTEMPTS: usize = 6;
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
const KEEPALIVE: Duration = Duration::from_secs(60);

/// An SSH server that does not listen yet.
#[derive(Debug)]
pub struct Server {
    config: Arc<Config>,
    authorized: Arc<[PublicKey]>,
    engine: Arc<Path>,
}

impl Server {
    /// Reads the keys of the boot contract.
    pub fn new(identity: &SshIdentity) -> Result<Self, IdentityError> {
        let config = Config {
            server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-machine")),
            methods: MethodSet::from(&[MethodKind::PublicKey][..]),
            auth_rejection_time: Duration::from_secs(1),
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![keys::host_key(identity)?],
            max_auth_attempts: ATTEMPTS,
            inactivity_timeout: None,
            keepalive_interval: Some(KEEPALIVE),
            nodelay: true,
            ..Config::default()
        };
        let authorized = keys::authorized(identity)?.into();
        Ok(Server { config: Arc::new(config), authorized, engine: Path::new(ENGINE).into() })
    }

    /// Serves connections for ever.
    pub async fn serve(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // The connection was gone already, or descriptors ran out. Those come back
                    // when something else ends, which nobody tells.
                    tracing::warn!(%error, "ssh connection not accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                tracing::warn!(%peer, "too many ssh connections");
                continue;
            };
            let config = self.config.clone();
            let (login, logged_in) = oneshot::channel();
            let login = Login::new(self.authorized.clone(), self.engine.clone(), login);
            tokio::spawn(async move {
                if let Err(error) = serve_connection(stream, config, login, logged_in).await {
                    tracing::debug!(%peer, %error, "ssh connection ended early");
                }
                drop(place);
            });
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    config: Arc<Config>,
    login: Login,
    logged_in: oneshot::Receiver<()>,
) -> Result<(), russh::Error> {
    stream.set_nodelay(config.nodelay)?;
    let started = tokio::time::timeout(LOGIN, russh::server::run_stream(config, stream, login));
    let session = started.await.map_err(|_| russh::Error::ConnectionTimeout)??;
    let handle = session.handle();
    let late = async {
        // An error means that the session has ended, which the other branch sees.
        if tokio::time::timeout(LOGIN, logged_in).await.is_err() {
            let why = "no login in time".to_owned();
            drop(handle.disconnect(Disconnect::ByApplication, why, String::new()).await);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = session => ended,
        () = late => Ok(()),
    }
}

#[cfg(test)]
mod tests;
