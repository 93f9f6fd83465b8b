//! Reading what a registry sends, never more than there may be, and checking its digest.

use bytes::{Bytes, BytesMut};
pub(crate) use engine::digests::{digest_of, is_digest, is_of};
use reqwest::{Method, Response};
use serde::de::DeserializeOwned;

use crate::addresses::shown;
use crate::failure::{Asked, Failure};
use crate::transport::STALLED;

/// The largest manifest, index or configuration.
pub(crate) const LARGEST_DOCUMENT: usize = 4 << 20;

/// `{},` is three bytes in a document and can be two hundred in memory.
const MOST_PARTS: usize = 100_000;

/// Reads a document. One that would take up much more memory than its bytes is refused.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    if bytes.iter().filter(|byte| **byte == b',').count() > MOST_PARTS {
        return Err("it has too many parts".to_owned());
    }
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// The whole body, if it has at most `limit` bytes.
pub(crate) async fn read_bounded(mut response: Response, limit: usize) -> Asked<Bytes> {
    let url = response.url().clone();
    let too_large = || Failure::wrong(format!("{} is larger than {limit} bytes", shown(&url)));
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    loop {
        let chunk = tokio::time::timeout(STALLED, response.chunk())
            .await
            .map_err(|_| Failure::stalled(&Method::GET, &url))?
            .map_err(|error| Failure::transport(&Method::GET, &url, &error))?;
        let Some(chunk) = chunk else { return Ok(whole.freeze()) };
        if whole.len() + chunk.len() > limit {
            return Err(too_large());
        }
        whole.extend_from_slice(&chunk);
    }
}
