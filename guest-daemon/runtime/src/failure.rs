//! Why a process does not run, and whose mistake it is.

use std::io;

use crate::channel::Answer;

/// Told to the daemon as an [`Answer`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// What was asked for is wrong.
    Refused(String),
    /// Something else is.
    Failed(String),
}

/// Puts what was being done before the reason.
pub(crate) fn doing<E: Into<io::Error>>(what: &str) -> impl FnOnce(E) -> Failure {
    move |error| Failure::Failed(format!("{what}: {}", error.into()))
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}

impl From<nix::errno::Errno> for Failure {
    fn from(error: nix::errno::Errno) -> Self {
        io::Error::from(error).into()
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(text) => Self::Refused(text),
            Failure::Failed(text) => Self::Failed(text),
        }
    }
}
