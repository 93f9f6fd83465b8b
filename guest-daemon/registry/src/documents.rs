//! Reading what a registry sends, never more than there may be, and checking its digest.

use bytes::{Bytes, BytesMut};
pub(crate) use engine::images::reference::is_digest;
use reqwest::{Method, Response};
use serde::de::DeserializeOwned;
use sha2::digest::DynDigest;
use sha2::{Digest, Sha256, Sha384, Sha512};

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

pub(crate) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Whether these bytes are what a digest is for.
pub(crate) fn is_of(digest: &str, bytes: &[u8]) -> bool {
    let mut checking = Checking::new(digest);
    checking.take(bytes);
    checking.fits()
}

/// Compares what comes with a digest.
pub(crate) struct Checking {
    digest: String,
    hasher: Box<dyn DynDigest + Send + Sync>,
}

impl Checking {
    pub(crate) fn new(digest: &str) -> Self {
        let hasher: Box<dyn DynDigest + Send + Sync> = match digest.split_once(':') {
            Some(("sha512", _)) => Box::new(Sha512::new()),
            Some(("sha384", _)) => Box::new(Sha384::new()),
            _ => Box::new(Sha256::new()),
        };
        Self { digest: digest.to_owned(), hasher }
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    pub(crate) fn fits(self) -> bool {
        let hex = hex::encode(self.hasher.finalize());
        self.digest.split_once(':').is_some_and(|(_, wanted)| wanted == hex)
    }
}
