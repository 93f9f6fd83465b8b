//! What the agent tells about the guest.

use std::collections::BTreeMap;
use std::io;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage};
use serde_json::{Value, json};

pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

pub(crate) fn system() -> Value {
    let kernel = rustix::system::uname();
    json!({
        "id": "machine",
        "name": "machine",
        "pretty-name": concat!("machine ", env!("CARGO_PKG_VERSION")),
        "version": env!("CARGO_PKG_VERSION"),
        "version-id": env!("CARGO_PKG_VERSION"),
        "kernel-release": kernel.release().to_string_lossy(),
        "kernel-version": kernel.version().to_string_lossy(),
        "machine": kernel.machine().to_string_lossy(),
    })
}

#[derive(Default)]
struct Interface {
    hardware_address: Option<String>,
    addresses: Vec<Value>,
}

/// Every interface with its addresses.
pub(crate) fn interfaces() -> io::Result<Value> {
    let mut interfaces: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in getifaddrs()? {
        let interface = interfaces.entry(entry.interface_name).or_default();
        let Some(address) = entry.address else { continue };
        match address.family() {
            Some(AddressFamily::Packet) => {
                let bytes = address.as_link_addr().and_then(|link| link.addr());
                interface.hardware_address =
                    bytes.map(|bytes| bytes.map(|byte| format!("{byte:02x}")).join(":"));
            }
            Some(AddressFamily::Inet | AddressFamily::Inet6) => {
                interface.addresses.extend(ip_address(&address, entry.netmask.as_ref()));
            }
            _ => {}
        }
    }
    let interfaces = interfaces.into_iter().map(|(name, interface)| {
        let mut value = json!({ "name": name, "ip-addresses": interface.addresses });
        if let Some(address) = interface.hardware_address {
            value["hardware-address"] = address.into();
        }
        value
    });
    Ok(interfaces.collect())
}

fn ip_address(address: &SockaddrStorage, mask: Option<&SockaddrStorage>) -> Option<Value> {
    if let Some(address) = address.as_sockaddr_in() {
        let mask = mask.and_then(SockaddrStorage::as_sockaddr_in).map(|mask| u32::from(mask.ip()));
        return Some(json!({
            "ip-address": address.ip().to_string(),
            "ip-address-type": "ipv4",
            "prefix": mask.unwrap_or(u32::MAX).leading_ones(),
        }));
    }
    let address = address.as_sockaddr_in6()?;
    let mask = mask.and_then(SockaddrStorage::as_sockaddr_in6).map(|mask| u128::from(mask.ip()));
    Some(json!({
        "ip-address": address.ip().to_string(),
        "ip-address-type": "ipv6",
        "prefix": mask.unwrap_or(u128::MAX).leading_ones(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_address_is_among_the_interfaces() {
        let interfaces = interfaces().unwrap();
        let loopback = interfaces.as_array().unwrap().iter().find(|one| one["name"] == "lo");
        let addresses = loopback.unwrap()["ip-addresses"].as_array().unwrap();
        assert!(addresses.contains(&json!({
            "ip-address": "127.0.0.1",
            "ip-address-type": "ipv4",
            "prefix": 8,
        })));
    }
}
