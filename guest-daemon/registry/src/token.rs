//! Tokens: what a registry's token server gives for credentials, or for nothing.

use std::time::{Duration, Instant};

use engine::ports::Credentials;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, Url};
use serde::Deserialize;

use crate::addresses::shown;
use crate::authorization::basic;
use crate::challenge::Challenge;
use crate::documents::read_bounded;
use crate::failure::{Asked, Failure};
use crate::transport::{Call, Transport};

const CLIENT: &str = "docker";
const LARGEST_ANSWER: usize = 1 << 20;
/// What the specification says a token lives when its server does not say.
const SHORTEST_LIFE: u64 = 60;
const LONGEST_LIFE: u64 = 24 * 3600;

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) header: HeaderValue,
    pub(crate) until: Instant,
    /// The identity token that came with it, or nothing.
    pub(crate) refresh: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
    expires_in: Option<u64>,
}

/// What a token is asked for.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) challenge: &'a Challenge,
    pub(crate) credentials: &'a Credentials,
    pub(crate) scopes: &'a [String],
    /// An identity token is wanted, too.
    pub(crate) offline: bool,
    /// The registry speaks TLS, so its token server must.
    pub(crate) encrypted: bool,
}

pub(crate) async fn fetch(transport: &Transport, wish: &Wish<'_>) -> Asked<Token> {
    let realm = realm(wish)?;
    let response = if wish.credentials.identity_token.is_empty() {
        with_password(transport, realm.clone(), wish).await?
    } else {
        with_identity(transport, realm.clone(), wish).await?
    };
    if !response.status().is_success() {
        return Err(Failure::of(response).await);
    }
    let body = read_bounded(response, LARGEST_ANSWER).await?;
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| Failure::wrong(format!("{} does not answer with a token", shown(&realm))))?;
    let missing = || Failure::wrong("authorization server did not include a token in the response");
    let text = [answer.token, answer.access_token].into_iter().flatten().find(|t| !t.is_empty());
    let mut header = HeaderValue::try_from(format!("Bearer {}", text.ok_or_else(missing)?))
        .map_err(|_| missing())?;
    header.set_sensitive(true);
    let life = answer.expires_in.unwrap_or(0).clamp(SHORTEST_LIFE, LONGEST_LIFE);
    // A little less, so that it does not end on its way.
    let until = Instant::now() + Duration::from_secs(life * 9 / 10);
    Ok(Token { header, until, refresh: answer.refresh_token.unwrap_or_default() })
}

/// It may be of another domain, as Docker Hub's and GitLab's are: the credentials are for this
/// registry only, which could have them by asking for them itself.
fn realm(wish: &Wish<'_>) -> Asked<Url> {
    let text = wish.challenge.get("realm");
    let realm: Url = text
        .parse()
        .map_err(|_| Failure::wrong("the registry names a token server that is no URL"))?;
    crate::addresses::check(&realm)?;
    if wish.encrypted && realm.scheme() != "https" {
        return Err(Failure::wrong(format!(
            "the registry names the token server {}, which is not encrypted",
            shown(&realm)
        )));
    }
    Ok(realm)
}

async fn with_password(transport: &Transport, mut url: Url, wish: &Wish<'_>) -> Asked<Response> {
    {
        let mut query = url.query_pairs_mut();
        let service = wish.challenge.get("service");
        if !service.is_empty() {
            query.append_pair("service", service);
        }
        for scope in wish.scopes {
            query.append_pair("scope", scope);
        }
        if wish.offline {
            query.append_pair("offline_token", "true").append_pair("client_id", CLIENT);
        }
    }
    let authorization = basic(wish.credentials);
    transport.ask(Method::GET, &url, &HeaderMap::new(), authorization.as_ref()).await
}

async fn with_identity(transport: &Transport, url: Url, wish: &Wish<'_>) -> Asked<Response> {
    let mut form = url.clone();
    form.set_query(None);
    form.query_pairs_mut()
        .append_pair("grant_type", "refresh_token")
        .append_pair("service", wish.challenge.get("service"))
        .append_pair("client_id", CLIENT)
        .append_pair("scope", &wish.scopes.join(" "))
        .append_pair("refresh_token", &wish.credentials.identity_token);
    let mut call = Call::new(Method::POST, url);
    call.headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    call.body = Some(form.query().unwrap_or_default().to_owned().into());
    transport.send(call, None).await
}
