//! What can go wrong in the store.

use std::io;

/// Shorthand.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot {doing}")]
    Io {
        doing: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot {doing}")]
    Database {
        doing: &'static str,
        #[source]
        source: Box<redb::Error>,
    },
    #[error("cannot encode a record")]
    Encode(#[source] serde_json::Error),
    /// What a client sent is not what it should be.
    #[error("{0}")]
    Invalid(String),
    #[error("{what} has digest {found}, not {expected}")]
    WrongDigest { what: String, expected: String, found: String },
    #[error("{0} is not in the store")]
    Missing(String),
}

impl StoreError {
    pub(crate) fn is_of_a_full_disk(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }

    /// For `map_err`: names what was tried.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    pub(crate) fn errno(doing: impl Into<String>) -> impl FnOnce(rustix::io::Errno) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source: source.into() }
    }

    pub(crate) fn database<E: Into<redb::Error>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Database { doing, source: Box::new(source.into()) }
    }
}

/// The text of an error and those of its causes, for where it goes on as text.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
