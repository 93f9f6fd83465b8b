//! One HTTP client, and redirects followed by hand: whatever a registry points to does not get
//! the credentials that are for the registry.

use std::time::Duration;

use engine::Error;
use engine::settings::Proxies;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Body, Client, Method, NoProxy, Proxy, Response, Url};

use crate::addresses::{self, Resolver, shown};
use crate::failure::{Asked, Failure};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(30);
/// How long an answer, or the next part of it, may take.
pub(crate) const STALLED: Duration = Duration::from_secs(60);
const SEALING: Duration = Duration::from_secs(15 * 60);
const MOST_REDIRECTS: usize = 8;
/// Never through a proxy, as Go does it.
const OWN_HOSTS: &str = "localhost,127.0.0.0/8,::1";

#[derive(Clone, Debug)]
pub(crate) struct Transport {
    client: Client,
    /// For which schemes there is a proxy.
    proxied: Vec<&'static str>,
}

/// What is asked.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Body>,
}

impl Call {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: None }
    }
}

impl Transport {
    pub(crate) fn new(
        tls: rustls::ClientConfig,
        proxies: &Proxies,
        user_agent: &str,
    ) -> Result<Self, Error> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Resolver)
            .connect_timeout(CONNECT)
            .user_agent(user_agent)
            .referer(false)
            .no_proxy();
        for proxy in chosen(proxies)? {
            builder = builder.proxy(proxy);
        }
        let client = builder
            .build()
            .map_err(|error| Error::internal("cannot make an HTTP client", error))?;
        let schemes = [("http", &proxies.http), ("https", &proxies.https)];
        let proxied = schemes.into_iter().filter(|(_, proxy)| !proxy.is_empty());
        Ok(Self { client, proxied: proxied.map(|(scheme, _)| scheme).collect() })
    }

    /// Sends a request once.
    pub(crate) async fn send(
        &self,
        call: Call,
        authorization: Option<&HeaderValue>,
    ) -> Asked<Response> {
        addresses::check(&call.url)?;
        let (method, url) = (call.method.clone(), call.url.clone());
        let mut request = self.client.request(call.method, call.url).headers(call.headers);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let limit = longest(&method);
        if let Some(body) = call.body {
            request = request.body(body);
        }
        let answer = request.send();
        let answer = match limit {
            None => answer.await,
            Some(limit) => {
                let answer = tokio::time::timeout(limit, answer).await;
                answer.map_err(|_| Failure::stalled(&method, &url))?
            }
        };
        match answer {
            Ok(response) => Ok(response),
            Err(error) => {
                let direct = !self.proxied.contains(&url.scheme());
                Err(Failure::unanswered(&method, &url, &error, direct).await)
            }
        }
    }

    /// Asks without a body and follows redirects.
    pub(crate) async fn ask(
        &self,
        method: Method,
        url: &Url,
        headers: &HeaderMap,
        authorization: Option<&HeaderValue>,
    ) -> Asked<Response> {
        let mut at = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let mut call = Call::new(method.clone(), at.clone());
            call.headers = headers.clone();
            let own = at.origin() == url.origin();
            let response = self.send(call, authorization.filter(|_| own)).await?;
            match redirect(&response, &at)? {
                None => return Ok(response),
                Some(next) => at = next,
            }
        }
        Err(Failure::wrong(format!("{}: too many redirects", shown(url))))
    }
}

/// How long an answer may take. Sending a blob takes as long as it takes; what a registry has been
/// sent it may have to move.
fn longest(method: &Method) -> Option<Duration> {
    match *method {
        Method::PATCH => None,
        Method::PUT => Some(SEALING),
        _ => Some(STALLED),
    }
}

fn redirect(response: &Response, at: &Url) -> Asked<Option<Url>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    location(response, at).map(Some)
}

/// The `Location` of an answer. What was asked in secret is not asked again in the open.
pub(crate) fn location(response: &Response, at: &Url) -> Asked<Url> {
    let header = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let Some(next) = header.and_then(|text| at.join(text).ok()) else {
        return Err(Failure::wrong(format!("{} points to no place", shown(at))));
    };
    if at.scheme() == "https" && next.scheme() != "https" {
        let (at, next) = (shown(at), shown(&next));
        return Err(Failure::wrong(format!("{at} points to {next}, which is not encrypted")));
    }
    addresses::check(&next)?;
    Ok(next)
}

fn chosen(proxies: &Proxies) -> Result<Vec<Proxy>, Error> {
    let none = NoProxy::from_string(&format!("{OWN_HOSTS},{}", proxies.not_for));
    let mut chosen = Vec::new();
    for (text, make) in [
        (&proxies.http, Proxy::http as fn(String) -> reqwest::Result<Proxy>),
        (&proxies.https, Proxy::https as fn(String) -> reqwest::Result<Proxy>),
    ] {
        if text.is_empty() {
            continue;
        }
        let url = if text.contains("://") { text.clone() } else { format!("http://{text}") };
        // The cause may repeat the URL, and with it a password.
        let proxy = make(url).map_err(|_| Error::invalid("the proxy's URL is not valid"))?;
        chosen.push(proxy.no_proxy(none.clone()));
    }
    Ok(chosen)
}
