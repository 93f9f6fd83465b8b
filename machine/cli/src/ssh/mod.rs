//! The SSH client: our own key, the machine's pinned host key, nothing of `~/.ssh`; and how other
//! programs that speak SSH are run.

pub(crate) mod external;
pub(crate) mod location;
mod session;
mod terminal;

use std::sync::Arc;
use std::time::Duration;

use machine_lifecycle::{ADDRESS, SshTarget};
use russh::client::{self, Handle};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};

use crate::Ui;
use crate::commands::Outcome;
use crate::error::{CommandError, Exit};

/// As whom one logs in.
pub(crate) const USER: &str = machine_clients::ssh_config::USER;

const CONNECT_LIMIT: Duration = Duration::from_secs(20);
const KEEPALIVE: Duration = Duration::from_secs(15);

/// What to run.
#[derive(Debug)]
pub(crate) enum What {
    /// A shell on a terminal of this kind.
    Terminal {
        kind: String,
    },
    /// A shell that reads from a pipe.
    Shell,
    Command(String),
}

/// Runs it; the answer is the remote exit status.
pub(crate) async fn run(target: &SshTarget, what: What, ui: &Ui) -> Outcome {
    let connection = tokio::time::timeout(CONNECT_LIMIT, connect(target))
        .await
        .map_err(|_| CommandError::new(Exit::Timeout, "the SSH server does not answer"))??;
    session::run(&connection, what, session::read_stdin(), ui).await
}

async fn connect(target: &SshTarget) -> Result<Handle<Pinned>, CommandError> {
    let login = key(&target.login_key)?;
    let expected = key(&target.host_key)?.public_key().clone();
    let config = client::Config {
        keepalive_interval: Some(KEEPALIVE),
        nodelay: true,
        ..client::Config::default()
    };
    let server = Pinned { expected };
    let mut connection = client::connect(Arc::new(config), (ADDRESS, target.port), server)
        .await
        .map_err(|error| match error {
            russh::Error::UnknownKey => {
                CommandError::failed("the SSH server is not this machine's: its key is another")
            }
            other => CommandError::failed("the SSH server cannot be reached").because(&other),
        })?;
    let login = PrivateKeyWithHashAlg::new(Arc::new(login), None);
    let outcome = connection.authenticate_publickey(USER, login).await.map_err(lost)?;
    if outcome.success() {
        Ok(connection)
    } else {
        Err(CommandError::failed("the SSH server refuses this machine's key")
            .hint("the guest learns the key when it starts: machine restart NAME"))
    }
}

fn key(pem: &str) -> Result<PrivateKey, CommandError> {
    PrivateKey::from_openssh(pem).map_err(|error| {
        CommandError::failed("the machine's SSH key cannot be read").because(&error)
    })
}

pub(crate) fn lost(error: russh::Error) -> CommandError {
    CommandError::failed("the SSH connection was lost").because(&error)
}

/// Trusts one key.
struct Pinned {
    expected: PublicKey,
}

impl client::Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        offered: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        Ok(match offered {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                key.key_data() == self.expected.key_data()
            }
            PublicKeyOrCertificate::Certificate(_) => false,
        })
    }
}

#[cfg(test)]
mod tests;
