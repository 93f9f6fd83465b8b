//! Which addresses a registry, or whatever it points to, may have.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::failure::{Asked, Failure};
use crate::unreachable::unresolved;

/// Whether something other than a registry answers there: clouds tell their secrets on link-local
/// addresses.
pub(crate) fn is_refused(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || address.is_unspecified()
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_refused(IpAddr::V4(mapped)),
            None => {
                address.is_unicast_link_local()
                    || address.is_multicast()
                    || address.is_unspecified()
            }
        },
    }
}

/// Fails for URLs that are never asked, whoever points to them.
pub(crate) fn check(url: &Url) -> Asked<()> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Failure::wrong(format!("refusing to ask {}", shown(url))));
    }
    match literal(url) {
        Some(address) if is_refused(address) => Err(refused(url.host_str().unwrap_or_default())),
        _ => Ok(()),
    }
}

fn refused(host: &str) -> Failure {
    Failure::wrong(format!(
        "refusing to connect to {host}: it is a link-local address, where no registry is"
    ))
}

fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// A URL without what may be secret in it.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// The system's resolver without the addresses that are refused.
#[derive(Debug)]
pub(crate) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found.map_err(|error| unresolved(name.as_str(), &error))?;
            let (refused, good): (Vec<SocketAddr>, Vec<_>) =
                found.partition(|address| is_refused(address.ip()));
            if good.is_empty() && !refused.is_empty() {
                let text = format!("{} has only link-local addresses", name.as_str());
                return Err(text.into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_addresses_are_refused_in_every_form() {
        for url in [
            "http://169.254.169.254/latest/meta-data/",
            "https://169.254.1.1:5000/v2/",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://[fe80::1]:5000/",
            "http://[::ffff:169.254.169.254]/",
            "http://0.0.0.0/",
            "http://[::]/",
            "file:///etc/passwd",
            "ftp://example.org/",
        ] {
            assert!(check(&url.parse().unwrap()).is_err(), "{url}");
        }
        for url in ["http://127.0.0.1:5000/", "https://[::1]/", "http://10.0.0.1/", "https://a.b/"]
        {
            assert!(check(&url.parse().unwrap()).is_ok(), "{url}");
        }
    }

    #[test]
    fn secrets_of_a_url_are_not_shown() {
        let url: Url = "https://user:word@cdn.example/a/b?signature=x#y".parse().unwrap();
        assert_eq!(shown(&url), "https://cdn.example/a/b");
    }
}
