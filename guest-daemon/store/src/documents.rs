//! JSON from outside.

use serde::de::DeserializeOwned;

use crate::error::{Result, StoreError};

/// Bytes of the largest.
pub(crate) const LARGEST: u64 = 8 << 20;
/// `{},` is three bytes in a document and can be two hundred in memory.
const MOST_PARTS: usize = 100_000;

/// Reads a document; `what` is for complaints.
pub(crate) fn parse<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    if bytes.iter().filter(|byte| **byte == b',').count() > MOST_PARTS {
        return Err(StoreError::Invalid(format!("invalid {what}: it has too many parts")));
    }
    serde_json::from_slice(bytes)
        .map_err(|error| StoreError::Invalid(format!("invalid {what}: {error}")))
}
