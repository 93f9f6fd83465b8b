//! Who may talk to whom: a CA, server and client certificates, SSH keys.
//!
//! **Invariant:** values only. Nothing here touches a file or reads a clock; `now` is always a
//! parameter.

mod authority;
pub mod bundle;
mod check;
mod describe;
mod ssh;

pub use authority::{Authority, Identity};
pub use check::{Problem, Purpose, Validity, check, check_authority, public_names};
pub use describe::Description;
pub use ssh::SshKey;

use std::time::Duration;

/// How long a CA is valid.
pub const AUTHORITY_LIFETIME: Duration = days(3652);

/// How long a server or client certificate is valid: what clients accept at most.
pub const LEAF_LIFETIME: Duration = days(397);

/// How far back a certificate's life begins, for clocks that are behind.
pub const BACKDATED: Duration = Duration::from_secs(3600);

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 3600)
}

/// Why a key or certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not make a {what}")]
    Make { what: &'static str, source: rcgen::Error },
    #[error("the CA's {what} cannot be read")]
    Authority { what: &'static str, source: rcgen::Error },
    #[error("the CA's key does not belong to its certificate")]
    KeyMismatch,
    #[error("{0:?} cannot be named in a certificate")]
    Name(String),
    #[error("the time is outside of what a certificate can express")]
    Time,
    #[error("the system gave no random numbers")]
    Randomness,
    #[error("could not write an SSH key")]
    Ssh(#[from] ssh_key::Error),
}

#[cfg(test)]
mod tests;
