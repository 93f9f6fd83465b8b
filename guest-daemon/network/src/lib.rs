//! Bridge, addresses, firewall and published ports, behind the engine's Network port.
//!
//! **Invariant:** no program is run and no firewall but our own table is touched; everything is
//! netlink.

mod addresses;
mod bridge;
mod effects;
mod firewall;
mod forward;
mod links;
mod namespaces;
mod netlink;
mod ports;
mod resolver;
mod rules;

/// What a user may choose about the bridge.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Of the links, in bytes; without one they have that of the guest's own.
    pub mtu: Option<u32>,
    /// The address in the network between guest and laptop that containers may reach.
    pub host_gateway: Option<std::net::Ipv4Addr>,
}

pub use bridge::BridgeNetwork;
pub use forward::HostForwarder;
