//! Port numbers as users write them.

use std::collections::BTreeSet;

use crate::config::{ContainerConfig, HostConfig};
use crate::error::{Error, Result};
use crate::ports::PublishRequest;

/// `80`, `80/tcp`.
pub(super) fn parse(text: &str) -> Result<(u16, String)> {
    let bad = || Error::invalid(format!("invalid port specification: \"{text}\""));
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let port = port.parse().map_err(|_| bad())?;
    match protocol.as_str() {
        "tcp" | "udp" => Ok((port, protocol)),
        "sctp" => Err(Error::unimplemented("publishing SCTP ports is not implemented")),
        _ => Err(Error::invalid(format!("invalid proto: {protocol}"))),
    }
}

/// Whether a port was spoken of.
pub(super) fn any(host: &HostConfig) -> bool {
    host.port_bindings.iter().flatten().next().is_some()
}

/// What to publish: what was asked for, and with `-P` every exposed port.
pub(super) fn wanted(config: &ContainerConfig, host: &HostConfig) -> Result<Vec<PublishRequest>> {
    let mut wanted = Vec::new();
    let mut bound = BTreeSet::new();
    for (port, bindings) in host.port_bindings.iter().flatten() {
        let (container_port, protocol) = parse(port)?;
        for binding in bindings.iter().flatten() {
            let host_port = match binding.host_port.as_str() {
                "" => 0,
                text => text.parse().map_err(|_| {
                    Error::invalid(format!("invalid port specification: \"{text}\""))
                })?,
            };
            if !binding.host_ip.is_empty() && binding.host_ip.parse::<std::net::IpAddr>().is_err() {
                return Err(Error::invalid(format!("invalid IP address: {}", binding.host_ip)));
            }
            wanted.push(PublishRequest {
                container_port,
                protocol: protocol.clone(),
                host_ip: binding.host_ip.clone(),
                host_port,
            });
        }
        if bindings.iter().flatten().next().is_some() {
            bound.insert((container_port, protocol));
        }
    }
    if host.publish_all_ports {
        for port in &config.exposed_ports {
            let (container_port, protocol) = parse(port)?;
            if bound.insert((container_port, protocol.clone())) {
                let host_ip = String::new();
                wanted.push(PublishRequest { container_port, protocol, host_ip, host_port: 0 });
            }
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PortBinding;

    #[test]
    fn an_empty_host_port_is_any_and_exposed_ports_follow_on_request() {
        let config = ContainerConfig {
            exposed_ports: ["80/tcp".to_owned(), "53/udp".to_owned()].into(),
            ..ContainerConfig::default()
        };
        let host = HostConfig {
            publish_all_ports: true,
            port_bindings: Some([("80/tcp".to_owned(), Some(vec![PortBinding::default()]))].into()),
            ..HostConfig::default()
        };
        let ports = wanted(&config, &host).unwrap();
        assert_eq!(ports.len(), 2);
        assert!(ports.iter().all(|port| port.host_port == 0));
        assert!(parse("http").is_err() && parse("80/ipx").is_err());
    }

    #[test]
    fn damaged_ports_are_taken_or_refused() {
        fuzz::text_rounds(&["80/tcp", "53/udp", "65535", "1-2/tcp"], |text| drop(parse(text)));
    }
}
