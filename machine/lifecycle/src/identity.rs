//! Keys and certificates of machines: made at creation, checked and renewed later.

use std::path::Path;
use std::time::SystemTime;

use certs::{Identity, Purpose, SshKey, public_names};
use machine_store::atomic::{self, Access};
use machine_store::{Draft, MachinePaths, Store};

use crate::authority::Issuer;
use crate::{Error, MachineName};

pub(crate) const PEM_LIMIT: u64 = 64 * 1024;

/// The CA of this storage root; made when there is none that can be used any more.
pub(crate) fn authority(store: &Store, now: SystemTime) -> Result<Issuer, Error> {
    Issuer::of(store, now)
}

/// Everything a new machine needs.
pub(crate) fn write_new(
    draft: &Draft,
    name: &MachineName,
    tls_names: &[String],
    issuer: &Issuer,
    now: SystemTime,
) -> Result<(), Error> {
    let paths = draft.paths();
    let names = public_names(name.as_str(), tls_names);
    let server = issuer.authority.issue_server(name.as_str(), &names, now)?;
    let client = issuer.authority.issue_client(name.as_str(), None, now)?;
    let login = SshKey::generate(name.as_str())?;
    let host = SshKey::generate(name.as_str())?;
    let login_line = format!("{}\n", login.public_key);
    for (path, content, access) in [
        (paths.authority_certificate(), issuer.trusted.as_str(), Access::Everyone),
        (paths.client_certificate(), &client.certificate, Access::Everyone),
        (paths.client_key(), &client.private_key, Access::Owner),
        (paths.server_certificate(), &server.certificate, Access::Everyone),
        (paths.server_key(), &server.private_key, Access::Owner),
        (paths.ssh_key(), &login.private_key, Access::Owner),
        (paths.ssh_public_key(), &login_line, Access::Everyone),
        (paths.ssh_host_key(), &host.private_key, Access::Owner),
    ] {
        draft.write(&path, content, access)?;
    }
    Ok(())
}

/// Issues anew what is missing, damaged, of another CA, expired or has a third of its life left.
/// For a machine that does not run.
pub(crate) fn renew(
    paths: &MachinePaths,
    name: &MachineName,
    tls_names: &[String],
    issuer: &Issuer,
    now: SystemTime,
) -> Result<(), Error> {
    let renewal = Renewal::needed(paths, name, tls_names, issuer, now)?;
    if read(&paths.authority_certificate()).as_deref() != Some(&issuer.trusted) {
        write_trusted(paths, &issuer.trusted)?;
    }
    renewal.write_server(paths)?;
    renewal.write_client(paths)
}

/// New certificates, not yet in their places.
#[derive(Debug, Default)]
pub(crate) struct Renewal {
    pub(crate) server: Option<Identity>,
    pub(crate) client: Option<Identity>,
}

impl Renewal {
    /// What has to be made anew. A client keeps its key where it can: then one file changes, and
    /// a program that reads both at that moment finds a pair that fits.
    pub(crate) fn needed(
        paths: &MachinePaths,
        name: &MachineName,
        tls_names: &[String],
        issuer: &Issuer,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let (authority, ca) = (&issuer.authority, issuer.authority.certificate());
        let names = public_names(name.as_str(), tls_names);
        let mut renewal = Self::default();
        if !is_fresh(&server(paths), ca, Purpose::Server { names: &names }, now) {
            renewal.server = Some(authority.issue_server(name.as_str(), &names, now)?);
        }
        let client = client(paths);
        if !is_fresh(&client, ca, Purpose::Client, now) {
            let kept = authority.renew_client(name.as_str(), None, &client.private_key, now);
            renewal.client = Some(match kept {
                Ok(identity) => identity,
                Err(_) => authority.issue_client(name.as_str(), None, now)?,
            });
        }
        Ok(renewal)
    }

    /// The key first: a crash in between leaves a pair that does not fit and is made again.
    pub(crate) fn write_server(&self, paths: &MachinePaths) -> Result<(), Error> {
        let Some(identity) = &self.server else { return Ok(()) };
        replace(identity, &paths.server_certificate(), &paths.server_key())
    }

    pub(crate) fn write_client(&self, paths: &MachinePaths) -> Result<(), Error> {
        let Some(identity) = &self.client else { return Ok(()) };
        replace(identity, &paths.client_certificate(), &paths.client_key())
    }
}

/// Whether [`Renewal::needed`] would find something. Reads only.
pub(crate) fn is_due(
    paths: &MachinePaths,
    name: &MachineName,
    tls_names: &[String],
    ca: &str,
    now: SystemTime,
) -> bool {
    let names = public_names(name.as_str(), tls_names);
    !is_fresh(&server(paths), ca, Purpose::Server { names: &names }, now)
        || !is_fresh(&client(paths), ca, Purpose::Client, now)
}

/// Whose certificates the machine's clients and its server trust.
pub(crate) fn write_trusted(paths: &MachinePaths, trusted: &str) -> Result<(), Error> {
    let path = paths.authority_certificate();
    Ok(atomic::write(&path, trusted.as_bytes(), Access::Everyone)?)
}

/// The client's identity, empty where it cannot be read.
pub(crate) fn client(paths: &MachinePaths) -> Identity {
    Identity {
        certificate: read(&paths.client_certificate()).unwrap_or_default(),
        private_key: read(&paths.client_key()).unwrap_or_default(),
    }
}

pub(crate) fn server(paths: &MachinePaths) -> Identity {
    Identity {
        certificate: read(&paths.server_certificate()).unwrap_or_default(),
        private_key: read(&paths.server_key()).unwrap_or_default(),
    }
}

/// A text file that is there and of a sensible size.
pub(crate) fn read(path: &Path) -> Option<String> {
    atomic::read(path, PEM_LIMIT).ok()
}

/// Of the CA that signs now, and good for a while.
fn is_fresh(identity: &Identity, ca: &str, purpose: Purpose<'_>, now: SystemTime) -> bool {
    certs::check(identity, ca, purpose, now).is_ok_and(|validity| !validity.renewal_due(now))
}

fn replace(identity: &Identity, certificate: &Path, key: &Path) -> Result<(), Error> {
    if read(key).as_deref() != Some(&identity.private_key) {
        atomic::write(key, identity.private_key.as_bytes(), Access::Owner)?;
    }
    Ok(atomic::write(certificate, identity.certificate.as_bytes(), Access::Everyone)?)
}
