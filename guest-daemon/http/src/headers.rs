//! The headers on every answer: clients negotiate the API version from them.

use http::{HeaderValue, Response};

use crate::reply::Body;
use crate::server::ServerFacts;
use crate::version;

pub(crate) fn stamp(reply: &mut Response<Body>, facts: &ServerFacts) {
    let headers = reply.headers_mut();
    headers.insert("Api-Version", HeaderValue::from_static(version::NEWEST_TEXT));
    headers.insert("Docker-Experimental", HeaderValue::from_static("false"));
    headers.insert("Ostype", HeaderValue::from_static("linux"));
    if let Ok(server) = HeaderValue::try_from(format!("Docker/{} (linux)", facts.version)) {
        headers.insert(http::header::SERVER, server);
    }
}
