//! The store may block; this is how the engine calls it.

use engine_store::StoreError;

use crate::error::{Error, Kind, Result};

/// Runs a step of the store where blocking harms nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    step: impl FnOnce() -> engine_store::Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(step).await {
        Ok(result) => result.map_err(Error::from),
        Err(failed) => Err(Error::internal("a step of the store did not complete", failed)),
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Invalid(_) | StoreError::WrongDigest { .. } => Self::invalid(message),
            StoreError::Missing(_) => Self::not_found(message),
            StoreError::Io { source, doing } => match source.kind() {
                // What a client sent could not be read.
                std::io::ErrorKind::InvalidData
                | std::io::ErrorKind::Other
                | std::io::ErrorKind::UnexpectedEof
                | std::io::ErrorKind::Unsupported => {
                    Self::caused(Kind::InvalidArgument, format!("cannot {doing}"), source)
                }
                _ => Self::internal(format!("cannot {doing}"), source),
            },
            other @ (StoreError::Database { .. } | StoreError::Encode(_)) => {
                Self::internal(message, other)
            }
        }
    }
}
