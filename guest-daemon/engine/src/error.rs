//! What can go wrong, said once: a kind for the edge, a text for the user, a cause for the log.

/// The class of a failure; every edge maps each kind to its own status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The object named does not exist.
    NotFound,
    /// The object's state, or another object, is in the way.
    Conflict,
    /// The request itself is wrong.
    InvalidArgument,
    /// The caller is not who they say, or did not say who they are.
    Unauthorized,
    /// The caller may not do this.
    Forbidden,
    /// The caller asked too often.
    TooManyRequests,
    /// Not now; later may work.
    Unavailable,
    /// Not built yet.
    Unimplemented,
    /// Our fault or the machine's.
    Internal,
}

/// A failure. `Display` is the text for the user, without the cause.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Shorthand.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure without a cause of its own.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// A failure that another one caused.
    pub fn caused(
        kind: Kind,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(source.into()) }
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidArgument, message)
    }

    pub fn unimplemented(message: impl Into<String>) -> Self {
        Self::new(Kind::Unimplemented, message)
    }

    pub fn internal(
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::caused(Kind::Internal, message, source)
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The same failure with more said before it.
    pub(crate) fn within(self, before: &str) -> Self {
        Self { message: format!("{before}: {}", self.message), ..self }
    }

    /// The text and those of its causes, for where a failure leaves the engine as text.
    pub fn with_causes(&self) -> String {
        engine_store::with_causes(self)
    }
}

/// Whether an action changed something. "Already so" is an outcome, not an error (HTTP 304).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    AlreadyDone,
}
