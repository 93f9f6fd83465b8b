//! What a handler gets: the request in Docker's dialect, taken apart on demand.

mod body;
mod credentials;
mod filters;
mod go_json;
mod platform;
mod query;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use engine::Engine;
use engine::images::ByteStream;
use engine::ports::{Credentials, TerminalSize};
use futures::StreamExt;
use http::Request;
use http_body_util::{BodyExt, BodyStream};
use hyper::upgrade::OnUpgrade;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::HttpError;
use crate::server::{Server, ServerFacts};
use crate::version::ApiVersion;

pub(crate) use body::RequestBody;
pub(crate) use credentials::credentials;
use query::Query;
pub(crate) use query::percent_decode;

/// The largest JSON document a client may send.
const MAX_JSON_BYTES: usize = 4 * 1024 * 1024;

/// One request with everything needed to answer it.
pub(crate) struct Call {
    server: Arc<Server>,
    pub(crate) version: ApiVersion,
    /// The `{name}` of the path.
    pub(crate) name: String,
    pub(crate) query: Query,
    request: Request<RequestBody>,
}

impl Call {
    pub(crate) fn new(
        server: Arc<Server>,
        version: ApiVersion,
        name: String,
        request: Request<RequestBody>,
    ) -> Result<Self, HttpError> {
        let query = Query::parse(request.uri().query().unwrap_or_default())?;
        Ok(Self { server, version, name, query, request })
    }

    pub(crate) fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.server.engine)
    }

    pub(crate) fn facts(&self) -> &ServerFacts {
        &self.server.facts
    }

    /// The parameter `filters`, in either of its two JSON forms.
    pub(crate) fn filters(&self) -> Result<BTreeMap<String, Vec<String>>, HttpError> {
        filters::parse(self.query.text("filters"))
    }

    /// Who the user is at the registry that this is about.
    pub(crate) fn credentials(&self) -> Credentials {
        credentials::from_headers(self.request.headers())
    }

    /// The parameter `platform` as `os/architecture/variant`; empty when it is absent or this
    /// version of the API does not know it here.
    pub(crate) fn platform(&self, known: bool) -> Result<String, HttpError> {
        self.one_platform("platform", known, "multiple platform parameters not supported")
    }

    /// The same of a parameter that may come several times, one day.
    pub(crate) fn one_platform(
        &self,
        name: &str,
        known: bool,
        too_many: &str,
    ) -> Result<String, HttpError> {
        match self.query.all(name).as_slice() {
            [] => Ok(String::new()),
            _ if !known => Ok(String::new()),
            [text] if text.is_empty() => Ok(String::new()),
            [text] => platform::parse(text),
            _ => Err(HttpError::invalid(too_many)),
        }
    }

    /// The parameters `h` and `w` in characters.
    pub(crate) fn terminal_size(&self) -> Result<TerminalSize, HttpError> {
        let required = |name, what: &str| {
            let text = self.query.text(name);
            text.parse().map_err(|_| {
                HttpError::invalid(format!("invalid resize {what} {text:?}: invalid syntax"))
            })
        };
        Ok(TerminalSize { rows: required("h", "height")?, columns: required("w", "width")? })
    }

    pub(crate) fn headers(&self) -> &http::HeaderMap {
        self.request.headers()
    }

    /// Whether the client wants to go on without HTTP after the answer's head.
    pub(crate) fn wants_upgrade(&self) -> bool {
        self.request.headers().contains_key(http::header::UPGRADE)
    }

    /// To be called after the body was read.
    pub(crate) fn upgrade(&mut self) -> OnUpgrade {
        hyper::upgrade::on(&mut self.request)
    }

    /// The body as a document, whatever content type it claims. No body is an error.
    pub(crate) async fn json_value(&mut self) -> Result<Value, HttpError> {
        let body = self.small_body().await?;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(HttpError::invalid("invalid JSON: got EOF while reading request body"));
        }
        parse(&body)
    }

    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, HttpError> {
        decode(&self.json_value().await?)
    }

    /// The same, but without a body it is the default.
    pub(crate) async fn json_or_default<T: DeserializeOwned + Default>(
        &mut self,
    ) -> Result<T, HttpError> {
        let body = self.small_body().await?;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(T::default());
        }
        decode(&parse(&body)?)
    }

    /// The body as it comes, never held whole.
    pub(crate) fn into_byte_stream(self) -> ByteStream {
        BodyStream::new(self.request.into_body())
            .filter_map(|frame| async {
                match frame {
                    Ok(frame) => frame.into_data().ok().map(Ok),
                    Err(error) => Some(Err(std::io::Error::other(error))),
                }
            })
            .boxed()
    }

    async fn small_body(&mut self) -> Result<Bytes, HttpError> {
        let mut whole = BytesMut::new();
        while let Some(frame) = self.request.body_mut().frame().await {
            let frame =
                frame.map_err(|e| HttpError::invalid(format!("reading the request body: {e}")))?;
            let Ok(data) = frame.into_data() else { continue };
            if whole.len() + data.len() > MAX_JSON_BYTES {
                return Err(HttpError::too_large(MAX_JSON_BYTES));
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }
}

/// One document, and nothing after it.
fn parse(body: &[u8]) -> Result<Value, HttpError> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = Value::deserialize(&mut reader).map_err(|error| {
        let end = if error.is_eof() { "unexpected EOF".to_owned() } else { error.to_string() };
        HttpError::invalid(format!("invalid JSON: {end}"))
    })?;
    reader.end().map_err(|_| HttpError::invalid("unexpected content after JSON"))?;
    Ok(value)
}

/// Reads a document as Go would: see [`go_json`].
pub(crate) fn decode<T: DeserializeOwned>(value: &Value) -> Result<T, HttpError> {
    go_json::from_value(value).map_err(|error| HttpError::invalid(format!("invalid JSON: {error}")))
}

#[cfg(test)]
mod tests;
