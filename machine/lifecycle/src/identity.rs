//! Keys and certificates of machines: made at creation, checked and renewed at each start.

use std::time::SystemTime;

use certs::{Authority, Identity, Purpose, SshKey, public_names};
use machine_store::atomic::{self, Access};
use machine_store::{Draft, MachinePaths, Store};

use crate::{Error, MachineName};

const PEM_LIMIT: u64 = 64 * 1024;

/// The CA of this storage root; made when there is none that can be used any more.
pub(crate) fn authority(store: &Store, now: SystemTime) -> Result<Authority, Error> {
    let _lock = store.lock_authority()?;
    let (certificate, key) =
        (store.layout().authority_certificate(), store.layout().authority_key());
    if certificate.exists() && key.exists() {
        let authority = Authority::from_pem(
            &atomic::read(&certificate, PEM_LIMIT)?,
            &atomic::read(&key, PEM_LIMIT)?,
        )?;
        // A leaf tells whether its CA is still good for one.
        let probe = authority.issue_client("probe", now)?;
        if certs::check(&probe, authority.certificate(), Purpose::Client, now).is_ok() {
            return Ok(authority);
        }
    }
    let authority = Authority::new(now)?;
    atomic::write(&key, authority.private_key().as_bytes(), Access::Owner)?;
    atomic::write(&certificate, authority.certificate().as_bytes(), Access::Everyone)?;
    Ok(authority)
}

/// Everything a new machine needs.
pub(crate) fn write_new(
    draft: &Draft,
    name: &MachineName,
    tls_names: &[String],
    authority: &Authority,
    now: SystemTime,
) -> Result<(), Error> {
    let paths = draft.paths();
    let names = public_names(name.as_str(), tls_names);
    let server = authority.issue_server(name.as_str(), &names, now)?;
    let client = authority.issue_client(name.as_str(), now)?;
    let login = SshKey::generate(name.as_str())?;
    let host = SshKey::generate(name.as_str())?;
    let login_line = format!("{}\n", login.public_key);
    for (path, content, access) in [
        (paths.authority_certificate(), authority.certificate(), Access::Everyone),
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
pub(crate) fn renew(
    paths: &MachinePaths,
    name: &MachineName,
    tls_names: &[String],
    authority: &Authority,
    now: SystemTime,
) -> Result<(), Error> {
    let names = public_names(name.as_str(), tls_names);
    let ca = authority.certificate();
    if read(&paths.authority_certificate()).as_deref() != Some(ca) {
        atomic::write(&paths.authority_certificate(), ca.as_bytes(), Access::Everyone)?;
    }
    if !is_fresh(&server(paths), ca, Purpose::Server { names: &names }, now) {
        let identity = authority.issue_server(name.as_str(), &names, now)?;
        replace(&identity, &paths.server_certificate(), &paths.server_key())?;
    }
    if !is_fresh(&client(paths), ca, Purpose::Client, now) {
        let identity = authority.issue_client(name.as_str(), now)?;
        replace(&identity, &paths.client_certificate(), &paths.client_key())?;
    }
    Ok(())
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
pub(crate) fn read(path: &std::path::Path) -> Option<String> {
    atomic::read(path, PEM_LIMIT).ok()
}

fn is_fresh(identity: &Identity, ca: &str, purpose: Purpose<'_>, now: SystemTime) -> bool {
    certs::check(identity, ca, purpose, now).is_ok_and(|validity| !validity.renewal_due(now))
}

/// The key first: a crash in between leaves a pair that does not fit and is made again.
fn replace(
    identity: &Identity,
    certificate: &std::path::Path,
    key: &std::path::Path,
) -> Result<(), Error> {
    atomic::write(key, identity.private_key.as_bytes(), Access::Owner)?;
    Ok(atomic::write(certificate, identity.certificate.as_bytes(), Access::Everyone)?)
}
