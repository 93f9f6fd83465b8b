//! Ports: numbers in lists, strings in inspect.

use engine::containers::{Container, Status};
use engine::ports::Published;
use engine_api::container::Port;
use engine_api::host_config::{PortBinding, PortMap};

/// By port; empty while the container does not run.
pub(super) fn to_map(container: &Container) -> PortMap {
    if !is_reachable(container) {
        return PortMap::new();
    }
    let mut map: PortMap =
        container.config.exposed_ports.iter().map(|port| (port.clone(), None)).collect();
    for published in &container.published {
        let binding =
            PortBinding { host_ip: host_ip(published), host_port: published.host_port.to_string() };
        let port = format!("{}/{}", published.container_port, published.protocol);
        map.entry(port).or_default().get_or_insert_default().push(binding);
    }
    map
}

/// Every published port, then those that are only exposed.
pub(super) fn to_list(container: &Container) -> Vec<Port> {
    let mut ports = Vec::new();
    for (port, bindings) in to_map(container) {
        let (number, protocol) = port.split_once('/').unwrap_or((&port, "tcp"));
        let Ok(private_port) = number.parse() else { continue };
        let exposed = Port { private_port, kind: protocol.to_owned(), ..Port::default() };
        match bindings {
            None => ports.push(exposed),
            Some(bindings) => ports.extend(bindings.into_iter().map(|binding| Port {
                ip: binding.host_ip,
                public_port: binding.host_port.parse().unwrap_or_default(),
                ..exposed.clone()
            })),
        }
    }
    ports.sort_by(|a, b| (a.private_port, &a.kind, &a.ip).cmp(&(b.private_port, &b.kind, &b.ip)));
    ports
}

/// Only a running container with a network of its own has ports.
fn is_reachable(container: &Container) -> bool {
    let mode = container.host.network_mode.as_str();
    matches!(container.state.status, Status::Running | Status::Paused)
        && !matches!(mode, "host" | "none")
        && !mode.starts_with("container:")
}

fn host_ip(published: &Published) -> String {
    if published.host_ip.is_empty() { "0.0.0.0".to_owned() } else { published.host_ip.clone() }
}
