//! Who we are at one registry: answers its challenges and keeps its tokens for as long as they
//! live.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::ports::Credentials;
use engine::{Error, Kind};
use reqwest::header::{HeaderMap, HeaderValue};

use crate::challenge::{self, Challenge};
use crate::failure::{Asked, Failure};
use crate::token::{self, Token, Wish};
use crate::transport::Transport;

#[derive(Debug)]
pub(crate) struct Authorization {
    credentials: Credentials,
    /// `repository:library/busybox:pull`; empty for none.
    scope: String,
    encrypted: bool,
    offline: bool,
    challenge: Mutex<Option<Challenge>>,
    /// By the scopes that were asked for. Held while one is fetched, so that it is fetched once.
    tokens: tokio::sync::Mutex<BTreeMap<Vec<String>, Token>>,
}

impl Authorization {
    pub(crate) fn new(credentials: Credentials, scope: String, encrypted: bool) -> Self {
        Self {
            credentials,
            scope,
            encrypted,
            offline: false,
            challenge: Mutex::new(None),
            tokens: tokio::sync::Mutex::new(BTreeMap::new()),
        }
    }

    /// Asks for an identity token, too.
    pub(crate) fn offline(self) -> Self {
        Self { offline: true, ..self }
    }

    /// What goes into the header, once the registry has said what it wants. `more` is a scope
    /// beyond the usual one.
    pub(crate) async fn header(
        &self,
        transport: &Transport,
        more: Option<&str>,
    ) -> Asked<Option<HeaderValue>> {
        let Some(challenge) = self.challenge() else { return Ok(None) };
        if challenge.scheme == "basic" {
            return match basic(&self.credentials) {
                Some(header) => Ok(Some(header)),
                None => {
                    Err(Failure::Wrong(Error::new(Kind::Internal, "no basic auth credentials")))
                }
            };
        }
        if !self.credentials.registry_token.is_empty() {
            return Ok(secret(format!("Bearer {}", self.credentials.registry_token)));
        }
        Ok(Some(self.token(transport, &challenge, more).await?.header))
    }

    /// The identity token that came with the tokens fetched so far, or nothing.
    pub(crate) async fn identity(&self) -> String {
        let tokens = self.tokens.lock().await;
        tokens.values().map(|token| token.refresh.clone()).next().unwrap_or_default()
    }

    /// Takes in what a registry says with 401. Whether it is worth asking again.
    pub(crate) async fn challenged(&self, headers: &HeaderMap, sent: Option<&HeaderValue>) -> bool {
        let Some(challenge) = challenge::preferred(headers) else { return false };
        *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = Some(challenge);
        let mut tokens = self.tokens.lock().await;
        let before = tokens.len();
        tokens.retain(|_, token| Some(&token.header) != sent);
        sent.is_none() || tokens.len() < before
    }

    async fn token(
        &self,
        transport: &Transport,
        challenge: &Challenge,
        more: Option<&str>,
    ) -> Asked<Token> {
        let usual = Some(self.scope.as_str()).filter(|scope| !scope.is_empty());
        let scopes: Vec<String> = usual.into_iter().chain(more).map(str::to_owned).collect();
        let mut tokens = self.tokens.lock().await;
        if let Some(token) = tokens.get(&scopes)
            && token.until > Instant::now()
        {
            return Ok(token.clone());
        }
        let (credentials, scopes_wanted) = (&self.credentials, scopes.as_slice());
        let wish = Wish {
            challenge,
            credentials,
            scopes: scopes_wanted,
            offline: self.offline,
            encrypted: self.encrypted,
        };
        let token = token::fetch(transport, &wish).await?;
        tokens.insert(scopes, token.clone());
        Ok(token)
    }

    fn challenge(&self) -> Option<Challenge> {
        self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The header for a name and password, if there are any.
pub(crate) fn basic(credentials: &Credentials) -> Option<HeaderValue> {
    if credentials.username.is_empty() && credentials.password.is_empty() {
        return None;
    }
    let pair = format!("{}:{}", credentials.username, credentials.password);
    secret(format!("Basic {}", STANDARD.encode(pair)))
}

fn secret(text: String) -> Option<HeaderValue> {
    let mut header = HeaderValue::try_from(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}
