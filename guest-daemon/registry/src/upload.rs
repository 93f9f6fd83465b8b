//! Blobs on their way out, in one piece each: begin, send, say the digest.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use engine::Result;
use engine::images::ByteStream;
use engine::images::reference::Reference;
use engine::ports::Outgoing;
use futures::StreamExt;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Method, StatusCode, Url};

use crate::endpoint::Endpoint;
use crate::failure::{Asked, Failure};
use crate::transport::{Call, location};

/// Takes a blob over from a repository beside; whether that was possible.
pub(crate) async fn mount(
    endpoint: &Endpoint,
    path: &str,
    digest: &str,
    from: &Reference,
) -> Asked<bool> {
    let mut url = endpoint.at(path)?;
    url.query_pairs_mut().append_pair("mount", digest).append_pair("from", from.path());
    let scope = format!("repository:{}:pull", from.path());
    match endpoint.change(empty(Method::POST, url.clone()), Some(&scope)).await {
        Ok(response) if response.status() == StatusCode::CREATED => Ok(true),
        Ok(response) => {
            // It has begun an upload instead, which nobody needs.
            if let Ok(place) = location(&response, &url) {
                drop(endpoint.change(Call::new(Method::DELETE, place), None).await);
            }
            Ok(false)
        }
        // Whoever may not read there has to send.
        Err(Failure::Refused(_)) => Ok(false),
        Err(failure) => Err(failure),
    }
}

pub(crate) async fn upload(endpoint: &Endpoint, path: &str, blob: Outgoing) -> Result<()> {
    let url = endpoint.at(path)?;
    let begun = endpoint.change(empty(Method::POST, url.clone()), None).await?;
    let place = location(&begun, &url)?;
    let broken = Arc::new(Mutex::new(None));
    let mut call = Call::new(Method::PATCH, place.clone());
    call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    call.body = Some(body(blob.content, Arc::clone(&broken)));
    let sent = endpoint.change(call, None).await;
    // What went wrong on our side explains more than that the request was cut.
    if let Some(error) = broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(engine::Error::internal("cannot read what is to be sent", error));
    }
    let mut place = location(&sent?, &place)?;
    let digest = blob.digest.await?;
    place.query_pairs_mut().append_pair("digest", &digest);
    endpoint.change(empty(Method::PUT, place), None).await?;
    Ok(())
}

fn empty(method: Method, url: Url) -> Call {
    let mut call = Call::new(method, url);
    call.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    call
}

fn body(content: ByteStream, broken: Arc<Mutex<Option<io::Error>>>) -> Body {
    Body::wrap_stream(content.map(move |part| {
        part.map_err(|error| {
            let kind = error.kind();
            *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            io::Error::from(kind)
        })
    }))
}
