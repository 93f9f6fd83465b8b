//! Why there was no answer, in the words that dockerd has from Go's standard library: users look
//! for those.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use rustls::{CertificateError, InvalidMessage};

use crate::addresses::is_refused;
use crate::failure::clean;

const RESOLVERS: &str = "/etc/resolv.conf";

/// `dial tcp 127.0.0.1:5000: connect: connection refused`. `direct` unless there may be a proxy.
pub(crate) async fn why(url: &Url, error: &reqwest::Error, direct: bool) -> String {
    if error.is_dns() {
        let text = causes(error).last().map(ToString::to_string).unwrap_or_default();
        return format!("dial tcp: {}", clean(&text));
    }
    if let Some(text) = causes(error).find_map(encryption) {
        return text;
    }
    let failed = causes(error).find_map(connecting);
    match failed.filter(|_| direct && error.is_connect()) {
        Some(text) => format!("dial tcp {}: {text}", address(url).await),
        None => shown(error),
    }
}

/// The innermost texts say most.
pub(crate) fn shown(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = cause.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
    }
    if texts.is_empty() { "no answer".to_owned() } else { clean(&texts.join(": ")) }
}

/// From the outermost to the innermost.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

/// An error of a stream may be in another, whose sources pass over it.
fn innermost(error: &io::Error) -> &io::Error {
    let within = error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>());
    within.map_or(error, innermost)
}

/// What went wrong with TLS.
fn encryption(cause: &(dyn StdError + 'static)) -> Option<String> {
    let inner = innermost(cause.downcast_ref::<io::Error>()?).get_ref()?;
    Some(match inner.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(why) => {
            let why = match why {
                CertificateError::UnknownIssuer => {
                    "certificate signed by unknown authority".to_owned()
                }
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => {
                    format!("certificate has expired or is not yet valid: {why}")
                }
                why => why.to_string(),
            };
            format!("tls: failed to verify certificate: x509: {why}")
        }
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "http: server gave HTTP response to HTTPS client".to_owned()
        }
        other => format!("tls: {other}"),
    })
}

/// What the system says of a connection that did not come about.
fn connecting(cause: &(dyn StdError + 'static)) -> Option<String> {
    let error = innermost(cause.downcast_ref::<io::Error>()?);
    if error.get_ref().is_some() {
        return (error.kind() == ErrorKind::TimedOut).then(|| "i/o timeout".to_owned());
    }
    let text = match error.kind() {
        // It came about.
        ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => {
            return None;
        }
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::HostUnreachable => "no route to host".to_owned(),
        ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        ErrorKind::TimedOut => "connection timed out".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_lowercase()
        }
    };
    Some(format!("connect: {text}"))
}

/// The one that was tried first.
async fn address(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(0);
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return SocketAddr::new(address, port).to_string();
    }
    let found = tokio::net::lookup_host((bare, port)).await;
    let first = found.ok().and_then(|mut all| all.find(|address| !is_refused(address.ip())));
    first.map_or_else(|| format!("{host}:{port}"), |address| address.to_string())
}

/// `lookup reg.lan on 10.0.2.3:53: no such host`
pub(crate) fn unresolved(name: &str, error: &io::Error) -> String {
    let resolvers = std::fs::read_to_string(RESOLVERS).unwrap_or_default();
    lookup(name, &resolvers, &error.to_string())
}

fn lookup(name: &str, resolvers: &str, error: &str) -> String {
    let server = resolvers
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .find_map(|rest| rest.trim().parse::<IpAddr>().ok())
        .map(|server| format!(" on {}", SocketAddr::new(server, 53)))
        .unwrap_or_default();
    // The system tells these apart by a number that does not come this far.
    let text = error.rsplit(": ").next().unwrap_or_default();
    let text = match text {
        "Try again" | "Temporary failure in name resolution" => "server misbehaving",
        "Name does not resolve"
        | "Name or service not known"
        | "Name has no usable address"
        | "No address associated with hostname" => "no such host",
        other => other,
    };
    format!("lookup {name}{server}: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_an_address_are_told_as_go_tells_them() {
        let resolvers = "# by hand\nsearch lan\nnameserver 10.0.2.3\nnameserver 1.1.1.1\n";
        let unknown = "failed to lookup address information: Name does not resolve";
        assert_eq!(
            lookup("reg.lan", resolvers, unknown),
            "lookup reg.lan on 10.0.2.3:53: no such host"
        );
        let later = "failed to lookup address information: Try again";
        assert_eq!(
            lookup("reg.lan", "nameserver ::1", later),
            "lookup reg.lan on [::1]:53: server misbehaving"
        );
        assert_eq!(lookup("reg.lan", "", "odd"), "lookup reg.lan: odd");
    }
}
