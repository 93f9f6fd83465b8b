//! Certificates: what there is, when it ends, making it anew.
//!
//! A running machine can be reached at each step of a change, and after it was interrupted at any:
//! first its clients and its server trust the old and the new CA, then the server shows the new
//! certificate, then the clients do, and at last the old CA is trusted no longer.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use boot::{TlsIdentity, VIEWER_UNIT};
use certs::{Description, Purpose, bundle, public_names};
use machine_store::{Lock, MachinePaths, MachineRecord, NO_DRIVER};

use crate::authority::{self, Issuer};
use crate::driver::Unheard;
use crate::identity::{self, Renewal};
use crate::{Error, MachineName, Machines, State};

/// What a client certificate allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// Looking, but changing nothing.
    Viewer,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateUse {
    Authority,
    Server,
    Client,
}

/// A certificate and the state it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// `None` for the CA of the storage root.
    pub machine: Option<MachineName>,
    pub usage: CertificateUse,
    pub path: PathBuf,
    /// The names and addresses of a server's.
    pub names: Vec<String>,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
    /// It is renewed by the next `start` or `env`.
    pub renewal_due: bool,
    /// Why it cannot be used, if so.
    pub problem: Option<String>,
}

/// What is made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Regenerate {
    /// The client's certificate too.
    pub client: bool,
    /// The CA too, and so everything of this machine; other machines follow at their next `start`
    /// or `env`.
    pub authority: bool,
}

/// What came of [`Machines::freshen`].
#[derive(Debug)]
pub enum Freshness {
    Fresh,
    /// Client certificates that were copied elsewhere should be copied again.
    Renewed,
    /// It is time, but it could not be done now.
    Due(Error),
}

/// What a running machine gets.
struct Exchange<'a> {
    issuer: &'a Issuer,
    renewal: Renewal,
}

impl Machines {
    /// The CA's certificate and those of one machine or of all.
    pub fn certificates(&self, name: Option<&MachineName>) -> Result<Vec<CertificateInfo>, Error> {
        let now = (self.clock)();
        let names = match name {
            Some(name) => {
                self.require(name)?;
                vec![name.clone()]
            }
            None => self.names()?,
        };
        let ca = self.store.layout().authority_certificate();
        let mut all = Vec::new();
        // There is none before the first machine.
        if ca.exists() || !names.is_empty() {
            let present = identity::read(&ca).unwrap_or_default();
            let checked = certs::check_authority(&present, now);
            let problem = checked.err().map(|problem| problem.to_string());
            all.push(describe(None, CertificateUse::Authority, ca, &present, now, problem));
        }
        for name in &names {
            let paths = self.store.paths(name.as_str());
            let trusted = identity::read(&paths.authority_certificate()).unwrap_or_default();
            let record = self.store.record(name.as_str()).ok();
            if record.as_ref().is_none_or(|record| record.driver != NO_DRIVER) {
                let server = identity::server(&paths);
                let tls_names = record.map(|record| record.tls_names).unwrap_or_default();
                let names = public_names(name.as_str(), &tls_names);
                let purpose = Purpose::Server { names: &names };
                let problem = certs::check(&server, &trusted, purpose, now).err();
                all.push(describe(
                    Some(name),
                    CertificateUse::Server,
                    paths.server_certificate(),
                    &server.certificate,
                    now,
                    problem.map(|problem| problem.to_string()),
                ));
            }
            let client = identity::client(&paths);
            let problem = certs::check(&client, &trusted, Purpose::Client, now).err();
            all.push(describe(
                Some(name),
                CertificateUse::Client,
                paths.client_certificate(),
                &client.certificate,
                now,
                problem.map(|problem| problem.to_string()),
            ));
        }
        Ok(all)
    }

    /// Makes a machine's certificates anew. A running machine takes them at once.
    pub async fn regenerate_certificates(
        &self,
        name: &MachineName,
        what: Regenerate,
    ) -> Result<(), Error> {
        let lock = self.lock_complete(name)?;
        let record = self.store.record(name.as_str())?;
        let runs = self.is_up(name, &record).await?;
        let now = (self.clock)();
        let issuer = if what.authority {
            Issuer::replace(&self.store, now)?
        } else {
            identity::authority(&self.store, now)?
        };
        let paths = self.store.paths(name.as_str());
        let tls_names = &record.tls_names;
        let mut renewal = Renewal::needed(&paths, name, tls_names, &issuer, now)?;
        let names = public_names(name.as_str(), tls_names);
        renewal.server = Some(issuer.authority.issue_server(name.as_str(), &names, now)?);
        if what.client || what.authority {
            renewal.client = Some(issuer.authority.issue_client(name.as_str(), None, now)?);
        }
        let exchange = Exchange { issuer: &issuer, renewal };
        self.exchange(&lock, name, exchange, runs).await
    }

    /// Renews what is damaged, of another CA, or has a third of its life left, also of a running
    /// machine. Takes no lock where nothing has to be done.
    pub async fn freshen(&self, name: &MachineName) -> Result<Freshness, Error> {
        self.require(name)?;
        let record = self.store.record(name.as_str())?;
        let now = (self.clock)();
        let layout = self.store.layout();
        let ca = identity::read(&layout.authority_certificate()).unwrap_or_default();
        let paths = self.store.paths(name.as_str());
        let due = || identity::is_due(&paths, name, &record.tls_names, &ca, now);
        if !authority::is_due(layout, now) && !due() {
            return Ok(Freshness::Fresh);
        }
        match self.renew_now(name, now).await {
            Ok(()) => Ok(Freshness::Renewed),
            Err(error) => Ok(Freshness::Due(error)),
        }
    }

    /// Makes a CA of the user's own that of this storage root; machines follow one by one. Answers
    /// whether it was not yet.
    pub fn adopt_authority(&self, certificate: &Path, key: &Path) -> Result<bool, Error> {
        Issuer::adopt(&self.store, certificate, key, (self.clock)())
    }

    async fn renew_now(&self, name: &MachineName, now: SystemTime) -> Result<(), Error> {
        let lock = self.lock_complete(name)?;
        let record = self.store.record(name.as_str())?;
        let runs = self.is_up(name, &record).await?;
        let issuer = identity::authority(&self.store, now)?;
        let paths = self.store.paths(name.as_str());
        let renewal = Renewal::needed(&paths, name, &record.tls_names, &issuer, now)?;
        let exchange = Exchange { issuer: &issuer, renewal };
        self.exchange(&lock, name, exchange, runs).await
    }

    /// Writes `ca.pem`, `cert.pem` and `key.pem` of a new client to the directory `to`, which is
    /// made (0700) and must not have such files.
    pub async fn issue_certificate(
        &self,
        name: &MachineName,
        role: Role,
        to: &Path,
    ) -> Result<(), Error> {
        self.require(name)?;
        // The machine must know the CA that signs.
        if let Freshness::Due(error) = self.freshen(name).await? {
            return Err(error);
        }
        let now = (self.clock)();
        let issuer = identity::authority(&self.store, now)?;
        let unit = match role {
            Role::Admin => None,
            Role::Viewer => Some(VIEWER_UNIT),
        };
        let client = issuer.authority.issue_client(name.as_str(), unit, now)?;
        let files = [
            ("key.pem", client.private_key.as_str()),
            ("cert.pem", &client.certificate),
            ("ca.pem", &issuer.trusted),
        ]
        .map(|(file, content)| (to.join(file), content));
        if let Some((path, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
            return Err(Error::FileExists { path: path.clone() });
        }
        write_all(to, &files)
    }

    /// Whether the machine's daemon has to be told. Fails in states in which it cannot be and will
    /// go on with what it has.
    async fn is_up(&self, name: &MachineName, record: &MachineRecord) -> Result<bool, Error> {
        if record.driver == NO_DRIVER {
            return Ok(false);
        }
        match self.state(name).await? {
            State::Running => Ok(true),
            State::Stopped => Ok(false),
            state => Err(Error::NotRunning { name: name.clone(), state }),
        }
    }

    async fn exchange(
        &self,
        lock: &Lock,
        name: &MachineName,
        exchange: Exchange<'_>,
        runs: bool,
    ) -> Result<(), Error> {
        let paths = self.store.paths(name.as_str());
        let Exchange { issuer, renewal } = exchange;
        let before = identity::read(&paths.authority_certificate()).unwrap_or_default();
        let trusted = issuer.trusted.clone();
        if !runs {
            identity::write_trusted(&paths, &trusted)?;
            renewal.write_server(&paths)?;
            return renewal.write_client(&paths);
        }
        self.ensure_supervised(name, &Unheard).await?;
        let both = bundle::join([trusted.as_str(), &before]);
        if both != before {
            identity::write_trusted(&paths, &both)?;
        }
        if let Err(refused) = self.load(lock, name, &paths, &renewal, &both).await {
            if both != before {
                identity::write_trusted(&paths, &before)?;
            }
            return Err(refused);
        }
        renewal.write_client(&paths)?;
        renewal.write_server(&paths)?;
        if both != trusted {
            self.load(lock, name, &paths, &renewal, &trusted).await?;
            identity::write_trusted(&paths, &trusted)?;
        }
        Ok(())
    }

    /// Gives a running machine's daemon its certificate and those it shall trust.
    async fn load(
        &self,
        _lock: &Lock,
        name: &MachineName,
        paths: &MachinePaths,
        renewal: &Renewal,
        trusted: &str,
    ) -> Result<(), Error> {
        let server = renewal.server.clone().unwrap_or_else(|| identity::server(paths));
        let identity = TlsIdentity {
            ca_certificate: trusted.to_owned(),
            certificate: server.certificate,
            private_key: server.private_key,
        };
        let loaded = self.driver.load_identity(&self.files(name), &identity).await;
        loaded.map_err(|source| self.failed(name, "given new certificates", source))
    }
}

fn describe(
    machine: Option<&MachineName>,
    usage: CertificateUse,
    path: PathBuf,
    certificate: &str,
    now: SystemTime,
    problem: Option<String>,
) -> CertificateInfo {
    let said = Description::of(certificate);
    let (not_before, not_after) =
        said.as_ref().map_or((SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH), |said| {
            (said.validity.not_before, said.validity.not_after)
        });
    let renews = |said: &Description| usage != CertificateUse::Authority || said.is_own_authority;
    CertificateInfo {
        machine: machine.cloned(),
        usage,
        path,
        renewal_due: said.as_ref().is_ok_and(|said| renews(said) && said.validity.renewal_due(now)),
        names: said.map(|said| said.names).unwrap_or_default(),
        not_before,
        not_after,
        problem,
    }
}

/// All of the new files or none of them.
fn write_all(directory: &Path, files: &[(PathBuf, &str)]) -> Result<(), Error> {
    let io = |path: &Path| {
        let path = path.to_owned();
        |source| Error::Store(machine_store::Error::Io { action: "write", path, source })
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io(directory))?;
    for (done, (path, content)) in files.iter().enumerate() {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let written = file.and_then(|mut file| {
            file.write_all(content.as_bytes())?;
            file.sync_all()
        });
        if let Err(error) = written {
            let exists = error.kind() == std::io::ErrorKind::AlreadyExists;
            let made = if exists { done } else { done + 1 };
            for (path, _) in files.iter().take(made) {
                // The first error is the one to tell.
                let _left = std::fs::remove_file(path);
            }
            return Err(io(path)(error));
        }
    }
    Ok(())
}
