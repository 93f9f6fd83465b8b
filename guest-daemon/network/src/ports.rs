//! The book of published ports: which numbers of the guest are in use, and by whom.

use std::collections::BTreeMap;

use engine::ports::{PublishRequest, Published};

/// Ports on which the guest itself listens, and the numbers that published ports of the same
/// number get in the guest instead: the Docker API and SSH must stay reachable.
const OWN_PORTS: [(u16, u16); 2] = [(22, 40_022), (2376, 42_376)];

/// A transport protocol of published ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    Tcp = 6,
    Udp = 17,
}

impl Protocol {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "tcp" => Some(Self::Tcp),
            "udp" => Some(Self::Udp),
            _ => None,
        }
    }
}

/// The port in the guest that belongs to a port of the host.
pub(crate) fn guest_port(host_port: u16) -> u16 {
    OWN_PORTS.iter().find(|(own, _)| *own == host_port).map_or(host_port, |(_, other)| *other)
}

/// Who uses which port of the guest.
#[derive(Debug, Default)]
pub(crate) struct PortBook {
    users: BTreeMap<(Protocol, u16), String>,
}

impl PortBook {
    /// Enters a port of the guest; false when it is in use.
    pub(crate) fn enter(&mut self, protocol: Protocol, guest_port: u16, container: &str) -> bool {
        match self.users.entry((protocol, guest_port)) {
            std::collections::btree_map::Entry::Occupied(_) => false,
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(container.to_owned());
                true
            }
        }
    }

    pub(crate) fn strike(&mut self, protocol: Protocol, guest_port: u16) {
        self.users.remove(&(protocol, guest_port));
    }
}

/// dockerd's words for an occupied port.
pub(crate) fn occupied(request: &PublishRequest) -> String {
    let ip = if request.host_ip.is_empty() { "0.0.0.0" } else { &request.host_ip };
    let ip = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    format!("Bind for {ip}:{} failed: port is already allocated", request.host_port)
}

/// What became of a request.
pub(crate) fn published(request: &PublishRequest, host_port: u16) -> Published {
    Published {
        container_port: request.container_port,
        protocol: request.protocol.clone(),
        host_ip: request.host_ip.clone(),
        host_port,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_one_user() {
        let mut book = PortBook::default();
        assert!(book.enter(Protocol::Tcp, 80, "a"));
        assert!(!book.enter(Protocol::Tcp, 80, "b"));
        assert!(book.enter(Protocol::Udp, 80, "b"));
        book.strike(Protocol::Tcp, 80);
        assert!(book.enter(Protocol::Tcp, 80, "b"));
    }

    #[test]
    fn the_guests_own_ports_are_not_taken_over() {
        assert_eq!(guest_port(8080), 8080);
        assert_ne!(guest_port(2376), 2376);
        assert_ne!(guest_port(22), 22);
    }

    #[test]
    fn an_occupied_port_is_told_in_dockerds_words() {
        let mut request = PublishRequest {
            container_port: 80,
            protocol: "tcp".into(),
            host_ip: "127.0.0.1".into(),
            host_port: 8080,
        };
        assert_eq!(occupied(&request), "Bind for 127.0.0.1:8080 failed: port is already allocated");
        request.host_ip.clear();
        assert_eq!(occupied(&request), "Bind for 0.0.0.0:8080 failed: port is already allocated");
        request.host_ip = "::1".into();
        assert_eq!(occupied(&request), "Bind for [::1]:8080 failed: port is already allocated");
    }
}
