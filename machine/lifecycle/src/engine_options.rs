//! Whether the options of a container engine and of a Swarm make sense.

use std::net::IpAddr;

use machine_store::{EngineRecord, SwarmRecord};

use crate::InvalidSpec;

/// The one way in which images and containers are stored.
const STORAGE_DRIVER: &str = "overlay2";

pub(crate) fn check(engine: &EngineRecord) -> Result<(), InvalidSpec> {
    let all = |texts: &[String], good: fn(&str) -> bool, error: fn(String) -> InvalidSpec| {
        let bad = texts.iter().find(|text| text.contains(['\n', '\0']) || !good(text));
        bad.map_or(Ok(()), |bad| Err(error(bad.clone())))
    };
    all(&engine.labels, is_label, InvalidSpec::Label)?;
    all(&engine.env, is_variable, InvalidSpec::Variable)?;
    all(&engine.registry_mirrors, is_mirror, InvalidSpec::Mirror)?;
    all(&engine.insecure_registries, is_registry, InvalidSpec::Registry)?;
    all(&engine.options, is_option, InvalidSpec::EngineOption)?;
    match engine.storage_driver.as_deref() {
        None | Some("" | STORAGE_DRIVER) => Ok(()),
        Some(other) => Err(InvalidSpec::StorageDriver(other.to_owned())),
    }
}

pub(crate) fn check_swarm(swarm: &SwarmRecord) -> Result<(), InvalidSpec> {
    if swarm.discovery.is_empty() || swarm.discovery.contains("://") {
        Ok(())
    } else {
        Err(InvalidSpec::Discovery(swarm.discovery.clone()))
    }
}

fn is_label(text: &str) -> bool {
    text.split_once('=').is_some_and(|(key, _)| !key.trim().is_empty())
}

fn is_variable(text: &str) -> bool {
    let is_key = |key: &str| !key.is_empty() && !key.contains(char::is_whitespace);
    text.split_once('=').is_some_and(|(key, _)| is_key(key))
}

fn is_mirror(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let authority = rest.split('/').next().unwrap_or_default();
        is_host_and_port(authority) && !rest.contains(['?', '#', ' '])
    })
}

fn is_registry(text: &str) -> bool {
    match text.split_once('/') {
        None => is_host_and_port(text),
        Some((address, length)) => {
            let most = match address.parse::<IpAddr>() {
                Ok(IpAddr::V4(_)) => 32,
                Ok(IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            length.parse::<u8>().is_ok_and(|length| length <= most)
        }
    }
}

/// `HOST` or `HOST:PORT`; an IPv6 address stands in brackets.
fn is_host_and_port(text: &str) -> bool {
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, rest)| {
            let port = rest.strip_prefix(':');
            let is_end = rest.is_empty() || port.is_some_and(is_port);
            is_end && address.parse::<std::net::Ipv6Addr>().is_ok()
        });
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !host.is_empty() && host.bytes().all(allowed) && port.is_none_or(is_port)
}

fn is_option(text: &str) -> bool {
    let key = text.split('=').next().unwrap_or_default();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !key.is_empty() && !key.starts_with('-') && key.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut EngineRecord)) -> Result<(), InvalidSpec> {
        let mut engine = EngineRecord::default();
        change(&mut engine);
        check(&engine)
    }

    #[test]
    fn what_dockerd_takes_is_taken() {
        assert_eq!(
            check(&EngineRecord {
                labels: vec!["colour=red".into(), "empty=".into()],
                env: vec!["HTTPS_PROXY=http://user:pass@proxy:3128".into(), "X=".into()],
                insecure_registries: vec![
                    "registry.example:5000".into(),
                    "10.0.0.0/8".into(),
                    "[::1]:5000".into(),
                    "fd00::/8".into(),
                    "localhost".into(),
                ],
                registry_mirrors: vec![
                    "https://mirror.example".into(),
                    "http://10.0.0.1:5000/v2/".into(),
                ],
                storage_driver: Some("overlay2".into()),
                options: vec!["dns=8.8.8.8".into(), "experimental".into(), "log-opt=a=b".into()],
                install_url: Some("https://get.docker.com".into()),
            }),
            Ok(())
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for bad in ["", "key", "=value", "a\nb=c"] {
            let refused = with(|engine| engine.labels.push(bad.into()));
            assert_eq!(refused, Err(InvalidSpec::Label(bad.into())));
            let refused = with(|engine| engine.env.push(bad.into()));
            assert_eq!(refused, Err(InvalidSpec::Variable(bad.into())));
        }
        for bad in
            ["mirror.example", "ftp://mirror.example", "https://", "https://a?b", "https://a b"]
        {
            let refused = with(|engine| engine.registry_mirrors.push(bad.into()));
            assert_eq!(refused, Err(InvalidSpec::Mirror(bad.into())));
        }
        for bad in ["", "http://registry:5000", "registry:0", "registry/16", "10.0.0.0/33", "[::1"]
        {
            let refused = with(|engine| engine.insecure_registries.push(bad.into()));
            assert_eq!(refused, Err(InvalidSpec::Registry(bad.into())));
        }
        for bad in ["", "--debug", "-D", "=x", "two words"] {
            let refused = with(|engine| engine.options.push(bad.into()));
            assert_eq!(refused, Err(InvalidSpec::EngineOption(bad.into())));
        }
        let refused = with(|engine| engine.storage_driver = Some("btrfs".into()));
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("btrfs") && text.contains("overlay2"), "{text}");
    }

    #[test]
    fn a_discovery_address_has_a_scheme() {
        let swarm = |discovery: &str| {
            check_swarm(&SwarmRecord { discovery: discovery.into(), ..SwarmRecord::default() })
        };
        assert_eq!(swarm(""), Ok(()));
        assert_eq!(swarm("token://1234"), Ok(()));
        assert_eq!(swarm("1234"), Err(InvalidSpec::Discovery("1234".into())));
    }
}
