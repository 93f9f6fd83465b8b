//! `/_ping`: from its headers clients learn what they talk to.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn get(call: Call) -> Result<Reply, HttpError> {
    drop(call);
    Ok(with_headers(reply::bytes(StatusCode::OK, reply::PLAIN_TEXT, Bytes::from_static(b"OK"))))
}

pub(crate) async fn head(call: Call) -> Result<Reply, HttpError> {
    drop(call);
    Ok(with_headers(reply::bytes(StatusCode::OK, reply::PLAIN_TEXT, Bytes::new())))
}

fn with_headers(mut reply: Reply) -> Reply {
    let headers = reply.headers_mut();
    // 1 is the classic builder, 2 would be BuildKit.
    headers.insert("Builder-Version", HeaderValue::from_static("1"));
    headers.insert("Swarm", HeaderValue::from_static("inactive"));
    headers.insert(
        http::header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, must-revalidate"),
    );
    headers.insert(http::header::PRAGMA, HeaderValue::from_static("no-cache"));
    reply
}
