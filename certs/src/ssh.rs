//! SSH keys: Ed25519, in OpenSSH's own formats.

use ring::rand::{SecureRandom, SystemRandom};
use ssh_key::private::Ed25519Keypair;
use ssh_key::{LineEnding, PrivateKey};

use crate::Error;

/// A key pair.
#[derive(Clone, PartialEq, Eq)]
pub struct SshKey {
    /// OpenSSH PEM.
    pub private_key: String,
    /// One line: algorithm, key, comment.
    pub public_key: String,
}

impl SshKey {
    /// Makes a new key; the comment is shown in `authorized_keys` and the like.
    pub fn generate(comment: &str) -> Result<Self, Error> {
        let mut seed = [0_u8; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| Error::Randomness)?;
        let mut key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
        key.set_comment(comment);
        Ok(Self {
            private_key: key.to_openssh(LineEnding::LF)?.to_string(),
            public_key: key.public_key().to_openssh()?,
        })
    }
}

impl std::fmt::Debug for SshKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshKey").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}
