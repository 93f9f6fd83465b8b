//! A blob as a stream of exactly as many bytes as were promised. Where the connection breaks it
//! goes on with the byte after the last one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::Error;
use engine::images::ByteStream;
use engine::ports::{Descriptor, Waiting};
use futures::StreamExt;
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};

use crate::endpoint::Endpoint;
use crate::failure::{Asked, Failure};
use crate::repository::Inner;
use crate::transport::STALLED;

/// Doubled with each attempt in vain.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Only who gets this far between two breaks gets all attempts anew.
const PROGRESS: u64 = 1 << 20;

struct Download {
    repository: Arc<Inner>,
    blob: Descriptor,
    endpoint: Option<Arc<Endpoint>>,
    response: Option<Response>,
    /// Bytes handed on.
    offset: u64,
    /// Bytes to pass over: the registry began again at the beginning.
    skip: u64,
    failures: usize,
    failed_at: u64,
    waiting: Waiting,
}

pub(crate) fn stream(repository: Arc<Inner>, blob: Descriptor, waiting: Waiting) -> ByteStream {
    let download = Download {
        repository,
        blob,
        endpoint: None,
        response: None,
        offset: 0,
        skip: 0,
        failures: 0,
        failed_at: 0,
        waiting,
    };
    futures::stream::try_unfold(download, |mut download| async move {
        match download.next().await {
            Ok(Some(bytes)) => Ok(Some((bytes, download))),
            Ok(None) => Ok(None),
            Err(failure) => Err(io::Error::other(Error::from(failure))),
        }
    })
    .boxed()
}

impl Download {
    async fn next(&mut self) -> Asked<Option<Bytes>> {
        while self.offset < self.blob.size {
            match self.part().await {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                Err(failure) => self.recover(failure).await?,
            }
        }
        self.nothing_more().await
    }

    /// The next bytes, perhaps none of those that came.
    async fn part(&mut self) -> Asked<Bytes> {
        if self.response.is_none() {
            self.response = Some(self.open().await?);
        }
        let Some(mut chunk) = self.read().await? else {
            return Err(Failure::short(format!("blob {} ends early", self.blob.digest)));
        };
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(chunk.len());
        drop(chunk.split_to(skipped));
        self.skip -= skipped as u64;
        if chunk.len() as u64 > self.blob.size - self.offset {
            return Err(self.too_long());
        }
        self.offset += chunk.len() as u64;
        Ok(chunk)
    }

    async fn read(&mut self) -> Asked<Option<Bytes>> {
        let Some(response) = &mut self.response else { return Ok(None) };
        let url = response.url().clone();
        let chunk = tokio::time::timeout(STALLED, response.chunk()).await;
        chunk
            .map_err(|_| Failure::stalled(&Method::GET, &url))?
            .map_err(|error| Failure::transport(&Method::GET, &url, &error))
    }

    async fn open(&mut self) -> Asked<Response> {
        let endpoint = match &self.endpoint {
            Some(endpoint) => Arc::clone(endpoint),
            None => self.repository.current().await?,
        };
        self.endpoint = Some(Arc::clone(&endpoint));
        let url = endpoint.at(&self.repository.path(&format!("blobs/{}", self.blob.digest)))?;
        let mut headers = HeaderMap::new();
        if self.offset > 0
            && let Ok(range) = HeaderValue::try_from(format!("bytes={}-", self.offset))
        {
            headers.insert(RANGE, range);
        }
        let response = endpoint.ask(Method::GET, &url, &headers).await?;
        // Whoever does not know ranges sends everything.
        let goes_on = response.status() == StatusCode::PARTIAL_CONTENT;
        self.skip = if goes_on { 0 } else { self.offset };
        if goes_on && begins_at(&response) != Some(self.offset) {
            return Err(Failure::wrong("the registry sends another range than was asked for"));
        }
        let promised =
            response.content_length().map(|length| length.saturating_add(self.offset - self.skip));
        if promised.is_some_and(|length| length > self.blob.size) {
            return Err(self.too_long());
        }
        Ok(response)
    }

    /// Waits before the next attempt, or gives up.
    async fn recover(&mut self, failure: Failure) -> Asked<()> {
        self.response = None;
        if let Some(endpoint) = &self.endpoint
            && let Some(origin) = self.repository.beyond(endpoint).await
        {
            self.endpoint = Some(origin);
            return Ok(());
        }
        if self.offset >= self.failed_at + PROGRESS {
            self.failures = 0;
        }
        self.failed_at = self.offset;
        self.failures += 1;
        if !failure.is_passing() || self.failures >= self.repository.options.attempts {
            return Err(failure);
        }
        let doubled =
            FIRST_PAUSE * 2u32.saturating_pow(u32::try_from(self.failures).unwrap_or(8) - 1);
        let Some(pause) = failure.wait(doubled.min(LONGEST_PAUSE)) else { return Err(failure) };
        tracing::info!(digest = self.blob.digest, at = self.offset, ?failure, "a download goes on");
        self.wait(pause).await;
        Ok(())
    }

    async fn wait(&self, mut left: Duration) {
        while !left.is_zero() {
            (self.waiting)(left.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX));
            let step = left.min(Duration::from_secs(1));
            tokio::time::sleep(step).await;
            left -= step;
        }
    }

    /// The end: one byte more would be a lie about the size.
    async fn nothing_more(&mut self) -> Asked<Option<Bytes>> {
        match self.read().await {
            Ok(Some(more)) if !more.is_empty() => Err(self.too_long()),
            _ => Ok(None),
        }
    }

    fn too_long(&self) -> Failure {
        Failure::wrong(format!(
            "blob {} is longer than the {} bytes that its manifest says",
            self.blob.digest, self.blob.size
        ))
    }
}

/// `Content-Range: bytes 100-199/200`
fn begins_at(response: &Response) -> Option<u64> {
    let header = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    header.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}
