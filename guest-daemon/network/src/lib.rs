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

pub use bridge::BridgeNetwork;
pub use forward::HostForwarder;
