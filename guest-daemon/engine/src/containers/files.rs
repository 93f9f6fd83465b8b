//! The text of `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` in a container.

use crate::config::{ContainerConfig, HostConfig};
use crate::error::{Error, Result};
use crate::settings::ContainerDefaults;

const LOCAL: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

/// `gateway` is what `host-gateway` means; `address` the container's own.
pub(super) fn hosts(
    config: &ContainerConfig,
    host: &HostConfig,
    gateway: &str,
    address: Option<&str>,
) -> Result<String> {
    let mut text = LOCAL.to_owned();
    for (name, to) in extra_hosts(host)? {
        let to = if to == "host-gateway" { gateway } else { to };
        text += &format!("{to}\t{name}\n");
    }
    if let Some(address) = address {
        text += &if config.domainname.is_empty() {
            format!("{address}\t{}\n", config.hostname)
        } else {
            format!("{address}\t{0}.{1} {0}\n", config.hostname, config.domainname)
        };
    }
    Ok(text)
}

/// The pairs of `--add-host`, checked.
pub(super) fn extra_hosts(host: &HostConfig) -> Result<Vec<(&str, &str)>> {
    host.extra_hosts
        .as_deref()
        .unwrap_or_default()
        .iter()
        .map(|entry| {
            let (name, address) = entry
                .split_once(['=', ':'])
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| Error::invalid(format!("bad format for add-host: \"{entry}\"")))?;
            let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let address = bare.unwrap_or(address);
            if address != "host-gateway" && address.parse::<std::net::IpAddr>().is_err() {
                return Err(Error::invalid(format!(
                    "invalid IP address in add-host: \"{address}\""
                )));
            }
            Ok((name, address))
        })
        .collect()
}

pub(super) fn hostname(config: &ContainerConfig) -> String {
    if config.domainname.is_empty() {
        format!("{}\n", config.hostname)
    } else {
        format!("{}.{}\n", config.hostname, config.domainname)
    }
}

/// What the network says, where the engine was not told otherwise.
pub(super) fn usual_resolv_conf(defaults: &ContainerDefaults, network: &str) -> String {
    let given = HostConfig {
        dns: Some(defaults.dns.clone()),
        dns_search: Some(defaults.dns_search.clone()),
        dns_options: Some(defaults.dns_options.clone()),
        ..HostConfig::default()
    };
    resolv_conf(&given, network)
}

/// `usual` is what the network says; each kind of line that the user gives replaces its own.
pub(super) fn resolv_conf(host: &HostConfig, usual: &str) -> String {
    let keep = |kind: &str| -> String {
        let lines = usual.lines().filter(|line| line.split_whitespace().next() == Some(kind));
        lines.map(|line| format!("{line}\n")).collect()
    };
    let list = |given: &Option<Vec<String>>| given.clone().unwrap_or_default();
    let servers = match list(&host.dns).as_slice() {
        [] => keep("nameserver"),
        servers => servers.iter().map(|server| format!("nameserver {server}\n")).collect(),
    };
    let search = match list(&host.dns_search).as_slice() {
        [] => keep("search"),
        // A single dot means: none.
        [dot] if dot == "." => String::new(),
        names => format!("search {}\n", names.join(" ")),
    };
    let options = match list(&host.dns_options).as_slice() {
        [] => keep("options"),
        options => format!("options {}\n", options.join(" ")),
    };
    servers + &search + &options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_names_the_container_and_what_was_added() {
        let config = ContainerConfig {
            hostname: "web".into(),
            domainname: "lan".into(),
            ..ContainerConfig::default()
        };
        let host = HostConfig {
            extra_hosts: Some(vec!["db:10.0.0.9".into(), "host=host-gateway".into()]),
            ..HostConfig::default()
        };
        let text = hosts(&config, &host, "172.17.0.1", Some("172.17.0.2")).unwrap();
        assert!(text.starts_with("127.0.0.1\tlocalhost\n"));
        assert!(text.ends_with("10.0.0.9\tdb\n172.17.0.1\thost\n172.17.0.2\tweb.lan web\n"));
        let bad = HostConfig { extra_hosts: Some(vec!["db".into()]), ..HostConfig::default() };
        assert_eq!(
            hosts(&config, &bad, "", None).unwrap_err().to_string(),
            "bad format for add-host: \"db\""
        );
    }

    #[test]
    fn given_dns_lines_replace_the_usual_ones_of_their_kind() {
        let host = HostConfig { dns: Some(vec!["9.9.9.9".into()]), ..HostConfig::default() };
        let text = resolv_conf(&host, "nameserver 172.17.0.1\nsearch lan\noptions ndots:0\n");
        assert_eq!(text, "nameserver 9.9.9.9\nsearch lan\noptions ndots:0\n");
        let engine =
            ContainerDefaults { dns: vec!["8.8.8.8".into()], ..ContainerDefaults::default() };
        let usual = usual_resolv_conf(&engine, "nameserver 172.17.0.1\nsearch lan\n");
        assert_eq!(resolv_conf(&HostConfig::default(), &usual), "nameserver 8.8.8.8\nsearch lan\n");
        assert_eq!(resolv_conf(&host, &usual), "nameserver 9.9.9.9\nsearch lan\n");
        let host = HostConfig { dns_search: Some(vec![".".into()]), ..HostConfig::default() };
        assert_eq!(resolv_conf(&host, "nameserver 1.1.1.1\nsearch lan\n"), "nameserver 1.1.1.1\n");
    }
}
