//! The keys of the boot contract.

use boot::SshIdentity;
use russh::keys::ssh_key;
use russh::keys::{PrivateKey, PublicKey};

/// Why the contract's keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("the SSH host key cannot be read")]
    HostKey(#[source] ssh_key::Error),
    #[error("authorized key {0} cannot be read")]
    AuthorizedKey(usize, #[source] ssh_key::Error),
}

pub(crate) fn host_key(identity: &SshIdentity) -> Result<PrivateKey, IdentityError> {
    PrivateKey::from_openssh(&identity.host_key).map_err(IdentityError::HostKey)
}

pub(crate) fn authorized(identity: &SshIdentity) -> Result<Vec<PublicKey>, IdentityError> {
    identity
        .authorized_keys
        .iter()
        .enumerate()
        .map(|(index, line)| {
            PublicKey::from_openssh(line.trim())
                .map_err(|error| IdentityError::AuthorizedKey(index + 1, error))
        })
        .collect()
}

/// Whether this key, of this user, opens the machine. Comments do not count.
pub(crate) fn may_log_in(user: &str, key: &PublicKey, authorized: &[PublicKey]) -> bool {
    matches!(user, "root" | "docker")
        && authorized.iter().any(|known| known.key_data() == key.key_data())
}
