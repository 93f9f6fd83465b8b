//! One HTTP request over a unix socket, as no client would disguise it.

use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("no JSON: {:?}", self.body))
    }

    /// A stream of JSON objects, one after the other.
    pub(crate) fn objects(&self) -> Result<Vec<Value>> {
        let stream = serde_json::Deserializer::from_slice(&self.body).into_iter();
        Ok(stream.collect::<Result<_, _>>()?)
    }
}

/// An answer whose head is there.
pub(crate) struct Opened(Response<Incoming>);

impl Opened {
    /// Waits for the rest.
    pub(crate) async fn answer(self) -> Result<Answer> {
        let content_type = self.0.headers().get(http::header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| Some(value.to_str().ok()?.to_owned()));
        let status = self.0.status().as_u16();
        let body = self.0.into_body().collect().await?.to_bytes();
        Ok(Answer { status, content_type, body })
    }
}

/// Sends the request on a connection of its own and waits for the head of the answer.
pub(crate) async fn open(
    socket: &Path,
    method: Method,
    path: &str,
    body: String,
) -> Result<Opened> {
    let stream = tokio::net::UnixStream::connect(socket).await.context("connecting")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request: Request<Full<Bytes>> = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, "docker")
        .header(http::header::CONTENT_TYPE, "application/json")
        .header(http::header::CONNECTION, "close")
        .body(Full::from(body))?;
    Ok(Opened(sender.send_request(request).await?))
}
