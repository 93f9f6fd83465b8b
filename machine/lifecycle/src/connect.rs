//! How programs reach what runs in a machine.

use std::path::PathBuf;

use certs::Purpose;
use machine_store::MachineRecord;

use crate::elsewhere::host_and_port;
use crate::state::{Decision, Operation, decide};
use crate::{ADDRESS, Error, Freshness, InvalidSpec, MachineName, Machines, identity};

/// Where a machine's Docker API is and with what to prove who one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// `tcp://127.0.0.1:PORT`
    pub url: String,
    /// A name or an address; an IPv6 address stands in brackets.
    pub host: String,
    pub port: u16,
    /// The directory with `ca.pem`, `cert.pem` and `key.pem`.
    pub directory: PathBuf,
    pub ca_certificate: PathBuf,
    pub client_certificate: PathBuf,
    pub client_key: PathBuf,
}

/// Where a machine's SSH server is, and the keys of both sides.
#[derive(Clone, PartialEq, Eq)]
pub struct SshTarget {
    pub port: u16,
    /// OpenSSH PEM.
    pub login_key: String,
    /// OpenSSH PEM; only its public half is for comparison.
    pub host_key: String,
}

impl Machines {
    /// Of a running machine. Its certificates are renewed when it is time; that this cannot be done
    /// just now matters only when they can no longer be used.
    pub async fn connect(&self, name: &MachineName) -> Result<Connection, Error> {
        self.require_running(name).await?;
        let freshness = self.freshen(name).await?;
        self.require_client_certificate(name).map_err(|problem| match freshness {
            Freshness::Due(reason) => reason,
            Freshness::Fresh | Freshness::Renewed => problem,
        })?;
        self.address(name)
    }

    /// Of any machine; whether somebody answers there is another question.
    pub fn address(&self, name: &MachineName) -> Result<Connection, Error> {
        self.require(name)?;
        let paths = self.store.paths(name.as_str());
        let url = url_of(&self.store.record(name.as_str())?);
        let (host, port) = host_and_port(&url).ok_or_else(|| InvalidSpec::Url(url.clone()))?;
        Ok(Connection {
            host: host.to_owned(),
            port,
            url,
            directory: paths.directory().to_owned(),
            ca_certificate: paths.authority_certificate(),
            client_certificate: paths.client_certificate(),
            client_key: paths.client_key(),
        })
    }

    /// Of a running machine.
    pub async fn ssh(&self, name: &MachineName) -> Result<SshTarget, Error> {
        self.require(name)?;
        let record = self.own_record(name, "logged in to")?;
        self.require_running(name).await?;
        let paths = self.store.paths(name.as_str());
        let text = |path: PathBuf| machine_store::atomic::read(&path, 64 * 1024);
        Ok(SshTarget {
            port: record.ports.ssh,
            login_key: text(paths.ssh_key())?,
            host_key: text(paths.ssh_host_key())?,
        })
    }

    /// Where the guest's console is written.
    pub fn console(&self, name: &MachineName) -> Result<PathBuf, Error> {
        self.require(name)?;
        if self.is_elsewhere(name) {
            return Err(Error::NoVm { name: name.clone(), action: "looked into" });
        }
        Ok(self.store.paths(name.as_str()).console_log())
    }

    /// Fails unless the machine runs.
    pub async fn require_running(&self, name: &MachineName) -> Result<(), Error> {
        self.require(name)?;
        if self.is_leftover(name) {
            return Err(Error::Unfinished { name: name.clone() });
        }
        let state = self.state(name).await?;
        match decide(Operation::Use, state) {
            Decision::Act => Ok(()),
            Decision::AlreadyDone | Decision::Refuse => {
                Err(Error::NotRunning { name: name.clone(), state })
            }
        }
    }

    /// Better said here than found out in a TLS handshake.
    fn require_client_certificate(&self, name: &MachineName) -> Result<(), Error> {
        let paths = self.store.paths(name.as_str());
        let ca = identity::read(&paths.authority_certificate()).unwrap_or_default();
        certs::check(&identity::client(&paths), &ca, Purpose::Client, (self.clock)())
            .map(drop)
            .map_err(|source| Error::ClientCertificate { name: name.clone(), source })
    }
}

pub(crate) fn url_of(record: &MachineRecord) -> String {
    record.url.clone().unwrap_or_else(|| format!("tcp://{ADDRESS}:{}", record.ports.api))
}

impl std::fmt::Debug for SshTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshTarget").field("port", &self.port).finish_non_exhaustive()
    }
}
