//! How other programs find machines: Docker contexts and the SSH configuration.
//!
//! **Invariants:** nothing of the user's is touched: only what this program wrote before is changed
//! or removed, and the user's current context stays. Everything is derived from the machines that
//! exist, so a run repairs what an interrupted one left.

mod docker_config;
pub mod docker_context;
pub mod ssh_config;
pub mod ssh_include;

use std::path::PathBuf;

/// What other programs need to know of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub name: String,
    /// `tcp://127.0.0.1:PORT`
    pub url: String,
    pub ca_certificate: PathBuf,
    pub client_certificate: PathBuf,
    pub client_key: PathBuf,
    /// `None` for a machine without an SSH server of ours.
    pub ssh: Option<SshEndpoint>,
}

/// Where the SSH server is; all files lie in the machine's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshEndpoint {
    pub port: u16,
    pub login_key: PathBuf,
    /// The file with the server's public key, as ssh's `known_hosts` wants it.
    pub known_hosts: PathBuf,
}

/// Where the other programs look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// `~/.docker`, or `DOCKER_CONFIG`.
    pub docker_config: PathBuf,
    /// The storage root: whose machines these are, and where `ssh_config` is written.
    pub storage: PathBuf,
}

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not {action} {path}")]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Store(#[from] machine_store::Error),
    /// A context of this name is the user's own.
    #[error("there is a Docker context {name:?} that is not this program's")]
    Foreign { name: String },
    #[error("{path} is not understood")]
    DockerConfig { path: PathBuf, source: serde_json::Error },
    #[error("the SSH host key {path} cannot be read")]
    HostKey { path: PathBuf, source: ssh_key::Error },
    #[error("ssh's configuration has no way to name {path:?}")]
    Unnameable { path: PathBuf },
}

/// Makes the contexts and the SSH configuration those of exactly these machines. What could not be
/// done is answered, the rest is done.
pub fn sync(machines: &[Endpoint], places: &Places) -> Vec<Error> {
    let mut errors = docker_context::sync(machines, places);
    errors.extend(ssh_config::sync(machines, places));
    errors
}
