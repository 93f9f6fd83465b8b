//! A file from any web server, for `docker import URL`.

use std::io;

use engine::images::ByteStream;
use engine::ports::Download;
use engine::{Error, Kind, Result};
use futures::StreamExt;
use reqwest::header::HeaderMap;
use reqwest::{Method, Response, Url};

use crate::addresses::shown;
use crate::client::Options;
use crate::documents::read_bounded;
use crate::endpoints;
use crate::failure::{Failure, clean};
use crate::transport::STALLED;

/// What a server says about its refusal.
const LONGEST_COMPLAINT: usize = 64 * 1024;

pub(crate) async fn download(options: &Options, address: &str) -> Result<Download> {
    let whole =
        if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let url: Url =
        whole.parse().map_err(|error| Error::invalid(format!("parse {whole:?}: {error}")))?;
    let transport = endpoints::transport(options, &url, false)?;
    let response = transport.ask(Method::GET, &url, &HeaderMap::new(), None).await?;
    if response.status().is_client_error() || response.status().is_server_error() {
        return Err(refusal(&url, response).await);
    }
    let length = response.content_length();
    Ok(Download { address: shown(&url), length, content: content(response) })
}

async fn refusal(url: &Url, response: Response) -> Error {
    let status = response.status();
    let kind = match status.as_u16() {
        400 => Kind::InvalidArgument,
        401 => Kind::Unauthorized,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        _ => Kind::Internal,
    };
    // A body that cannot be read says nothing.
    let body = read_bounded(response, LONGEST_COMPLAINT).await.unwrap_or_default();
    let said = clean(String::from_utf8_lossy(&body).trim());
    Error::new(kind, format!("failed to GET {} with status {status}: {said}", shown(url)))
}

fn content(response: Response) -> ByteStream {
    futures::stream::unfold(Some(response), |response| async {
        let mut response = response?;
        let url = response.url().clone();
        match tokio::time::timeout(STALLED, response.chunk()).await {
            Ok(Ok(None)) => None,
            Ok(Ok(Some(part))) => Some((Ok(part), Some(response))),
            Ok(Err(error)) => {
                let failure = Failure::transport(&Method::GET, &url, &error);
                Some((Err(io::Error::other(Error::from(failure))), None))
            }
            Err(_) => {
                let failure = Failure::stalled(&Method::GET, &url);
                Some((Err(io::Error::other(Error::from(failure))), None))
            }
        }
    })
    .boxed()
}
