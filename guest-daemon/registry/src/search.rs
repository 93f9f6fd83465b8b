//! Searching, which only the first version of the protocol knows.

use engine::ports::{Credentials, Found};
use engine::{Error, Kind, Result};
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use serde::Deserialize;

use crate::authorization::{Authorization, basic};
use crate::client::Options;
use crate::documents::{LARGEST_DOCUMENT, read_bounded};
use crate::endpoint::Endpoint;
use crate::endpoints;
use crate::failure::{Asked, Failure};

/// What searching needs of a token.
const SCOPE: &str = "registry:catalog:search";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Results {
    results: Option<Vec<Line>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    name: Option<String>,
    description: Option<String>,
    star_count: i64,
    is_official: bool,
}

pub(crate) async fn search(
    options: &Options,
    term: &str,
    limit: u32,
    credentials: &Credentials,
) -> Result<Vec<Found>> {
    if term.contains("://") {
        return Err(Error::invalid(format!(
            "invalid repository name: repository name ({term}) should not have a scheme"
        )));
    }
    match split(term) {
        None => {
            let term = term.strip_prefix("library/").unwrap_or(term);
            Ok(ask(options, &options.index, false, &query(term, limit), credentials).await?)
        }
        Some((host, term)) => private(options, host, &query(term, limit), credentials).await,
    }
}

async fn private(
    options: &Options,
    host: &str,
    query: &str,
    credentials: &Credentials,
) -> Result<Vec<Found>> {
    let insecure = endpoints::is_insecure(&options.registries, host).await;
    let url = |scheme: &str| {
        let text = format!("{scheme}://{host}/");
        text.parse::<Url>().map_err(|_| Error::invalid(format!("{host} is no registry")))
    };
    let encrypted = ask(options, &url("https")?, insecure, query, credentials).await;
    match encrypted {
        Err(Failure::Unreachable(_)) if insecure => {
            Ok(ask(options, &url("http")?, insecure, query, credentials).await?)
        }
        other => Ok(other?),
    }
}

async fn ask(
    options: &Options,
    base: &Url,
    insecure: bool,
    query: &str,
    credentials: &Credentials,
) -> Asked<Vec<Found>> {
    let mut url = base
        .join("v1/search")
        .map_err(|_| Failure::wrong("the registry has no place to search in"))?;
    url.set_query(Some(query));
    let transport = endpoints::transport(options, base, insecure)?;
    let response = if credentials.identity_token.is_empty() {
        let authorization = basic(credentials).filter(|_| base.scheme() == "https");
        transport.ask(Method::GET, &url, &HeaderMap::new(), authorization.as_ref()).await?
    } else {
        let encrypted = base.scheme() == "https";
        let authorization = Authorization::new(credentials.clone(), SCOPE.to_owned(), encrypted);
        let endpoint = Endpoint::new(base.clone(), false, transport, authorization);
        endpoint.ping().await?;
        endpoint.ask(Method::GET, &url, &HeaderMap::new()).await?
    };
    if response.status() != reqwest::StatusCode::OK {
        let text = format!("Unexpected status code {}", response.status().as_u16());
        return Err(Failure::Wrong(Error::new(Kind::Internal, text)));
    }
    let body = read_bounded(response, LARGEST_DOCUMENT).await?;
    let results: Results = serde_json::from_slice(&body).map_err(|error| {
        let text = format!("error decoding registry search results: {error}");
        Failure::Wrong(Error::new(Kind::Internal, text))
    })?;
    Ok(results.results.unwrap_or_default().into_iter().map(found).collect())
}

fn found(line: Line) -> Found {
    Found {
        name: line.name.unwrap_or_default(),
        description: line.description.unwrap_or_default(),
        stars: line.star_count,
        official: line.is_official,
    }
}

/// The registry in front of a term, if one is.
fn split(term: &str) -> Option<(&str, &str)> {
    let (host, rest) = term.split_once('/')?;
    let named = host.contains(['.', ':']) || host == "localhost";
    (named && host != "docker.io" && host != "index.docker.io").then_some((host, rest))
}

fn query(term: &str, limit: u32) -> String {
    let mut pairs = Url::parse("http://localhost/").ok();
    if let Some(url) = &mut pairs {
        url.query_pairs_mut().append_pair("q", term).append_pair("n", &limit.to_string());
    }
    pairs.as_ref().and_then(Url::query).unwrap_or_default().to_owned()
}
