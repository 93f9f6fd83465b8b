//! Answers: empty, a JSON document, or a stream whose head goes out at once.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use serde::Serialize;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;
pub(crate) type Reply = Response<Body>;

pub(crate) const JSON: &str = "application/json";
pub(crate) const BYTES: &str = "application/octet-stream";
pub(crate) const TAR: &str = "application/x-tar";
pub(crate) const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

pub(crate) fn empty(status: StatusCode) -> Reply {
    with_status(status, Empty::new().map_err(|never| match never {}).boxed_unsync())
}

/// The document and a newline.
pub(crate) fn json<T: Serialize>(status: StatusCode, document: &T) -> Reply {
    match json_line(document) {
        Ok(line) => bytes(status, JSON, line),
        Err(error) => {
            tracing::error!(%error, "an answer could not be encoded");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

pub(crate) fn ok<T: Serialize>(document: &T) -> Reply {
    json(StatusCode::OK, document)
}

pub(crate) fn bytes(status: StatusCode, content_type: &'static str, content: Bytes) -> Reply {
    let body = Full::new(content).map_err(|never| match never {}).boxed_unsync();
    typed(with_status(status, body), content_type)
}

/// A 200 of unknown length. The head is sent before the first item is there.
pub(crate) fn stream<S, E>(content_type: &'static str, items: S) -> Reply
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    let frames = items.map(|item| item.map(Frame::data).map_err(Into::into));
    typed(with_status(StatusCode::OK, BodyExt::boxed_unsync(StreamBody::new(frames))), content_type)
}

/// A JSON document and a newline.
pub(crate) fn json_line<T: Serialize>(document: &T) -> serde_json::Result<Bytes> {
    let mut line = serde_json::to_vec(document)?;
    line.push(b'\n');
    Ok(Bytes::from(line))
}

fn with_status(status: StatusCode, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply
}

fn typed(mut reply: Reply, content_type: &'static str) -> Reply {
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}
