//! One place where a registry answers, with who we are there.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};

use crate::authorization::Authorization;
use crate::failure::{Asked, Failure};
use crate::transport::{Call, Transport};

/// Between attempts at a small request: a registry that is being restarted comes back soon.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];
/// A registry that wants us to wait longer is not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Ends with a slash.
    pub(crate) url: Url,
    pub(crate) mirror: bool,
    transport: Transport,
    pub(crate) authorization: Authorization,
}

impl Endpoint {
    pub(crate) fn new(
        url: Url,
        mirror: bool,
        transport: Transport,
        authorization: Authorization,
    ) -> Self {
        Self { url, mirror, transport, authorization }
    }

    /// A URL below `/v2/`.
    pub(crate) fn at(&self, path: &str) -> Asked<Url> {
        self.url
            .join(&format!("v2/{path}"))
            .map_err(|_| Failure::wrong(format!("{path} is no part of a registry")))
    }

    /// Whether somebody who knows registries answers; takes in what they want to know of us.
    pub(crate) async fn ping(&self) -> Asked<()> {
        let url = self.at("")?;
        let response = self.transport.ask(Method::GET, &url, &HeaderMap::new(), None).await?;
        match response.status() {
            StatusCode::UNAUTHORIZED => {
                self.authorization.challenged(response.headers(), None).await;
                Ok(())
            }
            status if status.is_server_error() => Err(Failure::of(response).await),
            _ => Ok(()),
        }
    }

    /// Asks for something, twice if the first answer is a challenge; 4xx and 5xx are failures.
    pub(crate) async fn ask(
        &self,
        method: Method,
        url: &Url,
        headers: &HeaderMap,
    ) -> Asked<Response> {
        for again in [true, false] {
            let sent = self.header(&method, url, None).await?;
            let response = self.transport.ask(method.clone(), url, headers, sent.as_ref()).await?;
            match self.judged(response, sent.as_ref(), again).await {
                Judged::Again => {}
                Judged::Answer(answer) => return answer,
            }
        }
        Err(Failure::refused("UNAUTHORIZED", ""))
    }

    /// The same, again after a while when the failure passes.
    pub(crate) async fn ask_patiently(
        &self,
        method: Method,
        url: &Url,
        headers: &HeaderMap,
    ) -> Asked<Response> {
        for pause in PAUSES {
            match self.ask(method.clone(), url, headers).await {
                // Where nobody listens, nobody will within seconds.
                Err(failure) if failure.is_passing() && !failure.is_unreachable() => {
                    let Some(wait) = failure.wait(pause) else { return Err(failure) };
                    tokio::time::sleep(wait).await;
                }
                other => return other,
            }
        }
        self.ask(method, url, headers).await
    }

    /// Sends a request that changes something. A body is sent once only, so whoever has one has
    /// asked for something else before.
    pub(crate) async fn change(&self, call: Call, more: Option<&str>) -> Asked<Response> {
        // Somebody else's place, such as a store behind the registry, gets no credentials.
        let own = call.url.origin() == self.url.origin();
        let (method, url, headers) = (call.method.clone(), call.url.clone(), call.headers.clone());
        let mut first = Some(call);
        for again in [true, false] {
            let sent = match own {
                true => self.header(&method, &url, more).await?,
                false => None,
            };
            let next = Call { headers: headers.clone(), ..Call::new(method.clone(), url.clone()) };
            let call = first.take().unwrap_or(next);
            let again = again && own && call.body.is_none();
            let response = self.transport.send(call, sent.as_ref()).await?;
            match self.judged(response, sent.as_ref(), again).await {
                Judged::Again => {}
                Judged::Answer(answer) => return answer,
            }
        }
        Err(Failure::refused("UNAUTHORIZED", ""))
    }

    async fn header(
        &self,
        method: &Method,
        url: &Url,
        more: Option<&str>,
    ) -> Asked<Option<HeaderValue>> {
        let header = self.authorization.header(&self.transport, more).await;
        header.map_err(|failure| failure.during(method, url))
    }

    async fn judged(&self, response: Response, sent: Option<&HeaderValue>, again: bool) -> Judged {
        if response.status() == StatusCode::UNAUTHORIZED
            && again
            && self.authorization.challenged(response.headers(), sent).await
        {
            return Judged::Again;
        }
        if response.status().is_client_error() || response.status().is_server_error() {
            return Judged::Answer(Err(Failure::of(response).await));
        }
        Judged::Answer(Ok(response))
    }
}

enum Judged {
    Again,
    Answer(Asked<Response>),
}

impl Failure {
    fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// How long to wait before the next attempt, if it is worth it.
    pub(crate) fn wait(&self, usual: Duration) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.after.filter(|after| *after <= LONGEST_WAIT),
            Self::Unreachable(_) | Self::Broken { .. } | Self::Wrong(_) => Some(usual),
        }
    }
}
