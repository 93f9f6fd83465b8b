//! Registries without TLS, and mirrors of Docker Hub.

use std::net::IpAddr;

use engine::settings::Registries;

/// What of it is meant; the rest goes to the warnings.
pub(super) fn choose(
    insecure: &[String],
    mirrors: &[String],
    warnings: &mut Vec<String>,
) -> Registries {
    let (mut networks, mut hosts, mut urls) = (Vec::new(), Vec::new(), Vec::new());
    for given in insecure {
        let bare = without_scheme(given);
        if let Some(network) = network(bare) {
            once(&mut networks, network);
        } else if is_host(bare) {
            once(&mut hosts, bare.to_owned());
        } else {
            warnings.push(format!(
                "the insecure registry {given:?} is left out: it is neither HOST[:PORT] nor a CIDR"
            ));
        }
    }
    for given in mirrors {
        match mirror(given) {
            Ok(url) => once(&mut urls, url),
            Err(reason) => warnings.push(format!("a registry mirror is left out: {reason}")),
        }
    }
    let usual = Registries::default();
    for network in usual.insecure_networks {
        once(&mut networks, network);
    }
    Registries {
        insecure_networks: networks,
        insecure_hosts: hosts,
        mirrors: urls,
        signature_policy: String::new(),
    }
}

fn once(list: &mut Vec<String>, value: String) {
    if !list.contains(&value) {
        list.push(value);
    }
}

/// People write `http://` before such a registry, which says nothing more.
fn without_scheme(given: &str) -> &str {
    let bare = ["http://", "https://"].into_iter().find_map(|scheme| {
        let start = given.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then(|| &given[scheme.len()..])
    });
    let bare = bare.unwrap_or(given);
    bare.strip_suffix('/').unwrap_or(bare)
}

/// `10.1.2.3/8` is the network `10.0.0.0/8`.
fn network(text: &str) -> Option<String> {
    let (address, length) = text.split_once('/')?;
    let length: u32 = length.parse().ok()?;
    let first: IpAddr = match address.parse().ok()? {
        IpAddr::V4(address) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
        IpAddr::V4(_) | IpAddr::V6(_) => return None,
    };
    Some(format!("{first}/{length}"))
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) if host.parse::<std::net::Ipv6Addr>().is_ok() => {
            return rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        }
        Some(_) => return false,
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !host.is_empty() && !host.starts_with('-') && host.bytes().all(fits) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// The URL with one slash at its end.
fn mirror(given: &str) -> Result<String, String> {
    let scheme_and_host = given
        .strip_prefix("https://")
        .map(|rest| ("https", rest))
        .or_else(|| given.strip_prefix("http://").map(|rest| ("http", rest)));
    // A password is not to be repeated.
    if given.contains('@') {
        return Err("a user or password in its URL is not allowed".to_owned());
    }
    let Some((scheme, rest)) = scheme_and_host else {
        return Err(format!("{given:?} is no URL with http or https"));
    };
    let host = rest.strip_suffix('/').unwrap_or(rest);
    if !is_host(host) {
        return Err(format!("{given:?} is more, or less, than a scheme, a host and a port"));
    }
    Ok(format!("{scheme}://{host}/"))
}
