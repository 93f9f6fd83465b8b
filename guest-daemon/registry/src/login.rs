//! Trying a name and password.

use engine::ports::{Access, Credentials};
use engine::{Error, Kind, Result};
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};

use crate::authorization::Authorization;
use crate::client::Options;
use crate::endpoint::Endpoint;
use crate::endpoints::{self, Wanted, host_of};
use crate::failure::{Asked, Failure};

const HUB: &str = "index.docker.io";

pub(crate) async fn log_in(
    options: &Options,
    server: &str,
    credentials: &Credentials,
) -> Result<String> {
    let domain = domain(server)?;
    // Never a mirror: what is for Docker Hub is not for those.
    let wanted = Wanted { domain: &domain, access: Access::Push, credentials, scope: "" };
    let mut last = Error::invalid("no endpoints found");
    for mut endpoint in endpoints::find(options, &wanted).await? {
        let encrypted = endpoint.url.scheme() == "https";
        endpoint.authorization =
            Authorization::new(credentials.clone(), String::new(), encrypted).offline();
        match attempt(&endpoint).await {
            Ok(()) => return Ok(endpoint.authorization.identity().await),
            Err(failure @ Failure::Unreachable(_)) => last = failure.into(),
            Err(failure) => return Err(told(&endpoint, failure)),
        }
    }
    Err(last)
}

async fn attempt(endpoint: &Endpoint) -> Asked<()> {
    let url = endpoint.at("")?;
    endpoint.ask(Method::GET, &url, &HeaderMap::new()).await.map(drop)
}

/// A registry's no to a password is told with its status alone, a token server's in its words.
fn told(endpoint: &Endpoint, failure: Failure) -> Error {
    match failure {
        Failure::Refused(refusal) if refusal.during.is_empty() => {
            let reason = reqwest::StatusCode::from_u16(refusal.status)
                .map_or_else(|_| refusal.status.to_string(), |status| status.to_string());
            let text = format!("login attempt to {}v2/ failed with status: {reason}", endpoint.url);
            Error::new(Kind::Internal, text)
        }
        other => other.into(),
    }
}

/// `HOST[:PORT]` of a server as users write it.
fn domain(server: &str) -> Result<String> {
    if server.is_empty() {
        return Ok(HUB.to_owned());
    }
    let whole =
        if server.contains("://") { server.to_owned() } else { format!("https://{server}") };
    let url: Url = whole.parse().map_err(|_| Error::invalid("unable to parse server address"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::invalid("unable to parse server address"));
    }
    Ok(host_of(&url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_understood_as_users_write_them() {
        for (server, expected) in [
            ("", "index.docker.io"),
            ("https://index.docker.io/v1/", "index.docker.io"),
            ("reg.lan:5000", "reg.lan:5000"),
            ("http://reg.lan:5000/v2/", "reg.lan:5000"),
            ("[::1]:5000", "[::1]:5000"),
        ] {
            assert_eq!(domain(server).unwrap(), expected, "{server}");
        }
        assert!(domain("https://user:word@reg.lan").is_err());
        assert!(domain("https://").is_err());
    }
}
