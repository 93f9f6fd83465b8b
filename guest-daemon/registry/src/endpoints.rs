//! Where a registry is: mirrors, Docker Hub, and whether TLS is needed.

use std::net::IpAddr;

use engine::Error;
use engine::ports::{Access, Credentials};
use engine::settings::Registries;
use reqwest::Url;

use crate::authorization::Authorization;
use crate::certificates;
use crate::client::Options;
use crate::endpoint::Endpoint;
use crate::transport::Transport;

const HUB_NAMES: [&str; 2] = ["docker.io", "index.docker.io"];

/// Whose and what for.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) domain: &'a str,
    pub(crate) access: Access,
    pub(crate) credentials: &'a Credentials,
    pub(crate) scope: &'a str,
}

/// In the order in which they are asked.
pub(crate) async fn find(options: &Options, wanted: &Wanted<'_>) -> Result<Vec<Endpoint>, Error> {
    let nobody = Credentials::default();
    let mut found = Vec::new();
    if HUB_NAMES.contains(&wanted.domain) {
        if wanted.access == Access::Pull {
            for mirror in &options.registries.mirrors {
                let url = parse(mirror)?;
                let insecure = is_insecure(&options.registries, &host_of(&url)).await;
                // What one tells Docker Hub is not for whoever mirrors it.
                found.push(endpoint(options, url, insecure, true, &nobody, wanted.scope)?);
            }
        }
        let (hub, credentials) = (options.hub.clone(), wanted.credentials);
        found.push(endpoint(options, hub, false, false, credentials, wanted.scope)?);
        return Ok(found);
    }
    let insecure = is_insecure(&options.registries, wanted.domain).await;
    let schemes: &[&str] = if insecure { &["https", "http"] } else { &["https"] };
    for scheme in schemes {
        let url = parse(&format!("{scheme}://{}/", wanted.domain))?;
        found.push(endpoint(options, url, insecure, false, wanted.credentials, wanted.scope)?);
    }
    Ok(found)
}

fn endpoint(
    options: &Options,
    url: Url,
    insecure: bool,
    mirror: bool,
    credentials: &Credentials,
    scope: &str,
) -> Result<Endpoint, Error> {
    let transport = transport(options, &url, insecure)?;
    let encrypted = url.scheme() == "https";
    let authorization = Authorization::new(credentials.clone(), scope.to_owned(), encrypted);
    Ok(Endpoint::new(url, mirror, transport, authorization))
}

pub(crate) fn transport(options: &Options, url: &Url, insecure: bool) -> Result<Transport, Error> {
    let tls = certificates::client_config(&options.certificates, &host_of(url), insecure)?;
    Transport::new(tls, &options.proxies, &options.user_agent)
}

fn parse(text: &str) -> Result<Url, Error> {
    text.parse().map_err(|_| Error::invalid(format!("{text} is no registry's URL")))
}

/// `HOST[:PORT]`
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether `HOST[:PORT]` may do without TLS, by its name or by where it is.
pub(crate) async fn is_insecure(registries: &Registries, host: &str) -> bool {
    if registries.insecure_hosts.iter().any(|insecure| insecure == host) {
        return true;
    }
    let name = without_port(host);
    let addresses: Vec<IpAddr> = match name.parse() {
        Ok(address) => vec![address],
        Err(_) => match tokio::net::lookup_host((name, 0)).await {
            Ok(found) => found.map(|address| address.ip()).collect(),
            Err(_) => Vec::new(),
        },
    };
    let in_some = |address: &IpAddr| {
        registries.insecure_networks.iter().any(|network| contains(network, *address))
    };
    addresses.iter().any(in_some)
}

fn without_port(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

/// `network` is `ADDRESS/LENGTH`.
fn contains(network: &str, address: IpAddr) -> bool {
    let Some((first, length)) = network.split_once('/') else { return false };
    let (Ok(first), Ok(length)) = (first.parse::<IpAddr>(), length.parse::<u32>()) else {
        return false;
    };
    let shifted = |bits: u128, width: u32| bits.checked_shr(width.saturating_sub(length));
    match (first, address.to_canonical()) {
        (IpAddr::V4(first), IpAddr::V4(address)) => {
            let bits = |address: std::net::Ipv4Addr| u128::from(u32::from(address));
            length == 0 || shifted(bits(first), 32) == shifted(bits(address), 32)
        }
        (IpAddr::V6(first), IpAddr::V6(address)) => {
            length == 0 || shifted(first.into(), 128) == shifted(address.into(), 128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses_only() {
        for (network, address, inside) in [
            ("127.0.0.0/8", "127.9.9.9", true),
            ("127.0.0.0/8", "128.0.0.1", false),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("10.1.2.3/32", "10.1.2.4", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("::1/128", "::1", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("127.0.0.0/8", "::1", false),
            ("127.0.0.0/8", "::ffff:127.0.0.1", true),
        ] {
            assert_eq!(contains(network, address.parse().unwrap()), inside, "{network} {address}");
        }
    }

    #[tokio::test]
    async fn a_registry_is_insecure_by_name_or_by_address() {
        let registries =
            Registries { insecure_hosts: vec!["reg.lan:5000".to_owned()], ..Registries::default() };
        for (host, insecure) in [
            ("reg.lan:5000", true),
            ("127.0.0.1:5000", true),
            ("[::1]:5000", true),
            ("10.0.2.2:5000", false),
        ] {
            assert_eq!(is_insecure(&registries, host).await, insecure, "{host}");
        }
    }
}
