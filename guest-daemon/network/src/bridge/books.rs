//! Who is on the bridge, with which address and ports.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use engine::ports::Published;

use crate::addresses::Pool;
use crate::firewall::Forward;
use crate::ports::{PortBook, Protocol, guest_port};

/// Addresses, ports and containers.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) pool: Pool,
    pub(super) book: PortBook,
    pub(super) containers: BTreeMap<String, Attached>,
}

/// What a container has.
#[derive(Debug, Default)]
pub(super) struct Attached {
    /// None with `--network none`.
    pub(super) address: Option<Ipv4Addr>,
    pub(super) published: Vec<Published>,
}

impl State {
    /// Takes a container and its ports out of the books; its address stays taken.
    pub(super) fn strike(&mut self, container: &str) -> Option<Attached> {
        let attached = self.containers.remove(container)?;
        for port in &attached.published {
            if let Some(protocol) = Protocol::parse(&port.protocol) {
                self.book.strike(protocol, guest_port(port.host_port));
            }
        }
        Some(attached)
    }

    /// An address is free again.
    pub(super) fn release(&mut self, address: Option<Ipv4Addr>) {
        if let Some(address) = address {
            self.pool.release(address);
        }
    }

    /// What the firewall must know of the published ports.
    pub(super) fn forwards(&self) -> Vec<Forward> {
        self.containers
            .values()
            .filter_map(|attached| attached.address.map(|address| (address, &attached.published)))
            .flat_map(|(address, published)| {
                published.iter().filter_map(move |port| {
                    Some(Forward {
                        protocol: Protocol::parse(&port.protocol)? as u8,
                        guest_port: guest_port(port.host_port),
                        address,
                        container_port: port.container_port,
                    })
                })
            })
            .collect()
    }
}
