//! Addresses and names of the default bridge: which are free, and how one follows from another.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// The bridge's name, as dockerd names it.
pub(crate) const BRIDGE: &str = "docker0";

/// The bridge's own address, which is the containers' gateway.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 1);

/// The network between the guest and QEMU. Whatever goes to an address in it that is not the guest's
/// own or the resolver's ends at the laptop's loopback address (libslirp's `sotranslate_out`).
pub(crate) const HOST_NETWORK: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 0);

/// The length of that network's prefix.
pub(crate) const HOST_PREFIX_LEN: u8 = 24;

/// QEMU's resolver there; it answers with what the laptop's resolver says.
pub(crate) const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// The subnet's first address.
pub(crate) const NETWORK: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 0);

/// The length of the subnet's prefix.
pub(crate) const PREFIX_LEN: u8 = 16;

const FIRST: u32 = GATEWAY.to_bits() + 1;
const LAST: u32 = NETWORK.to_bits() + (1 << (32 - PREFIX_LEN)) - 2;

/// Hands out the lowest free address.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    taken: BTreeSet<u32>,
}

impl Pool {
    /// The lowest free address, which is taken from now on; `None` when all are.
    pub(crate) fn take(&mut self) -> Option<Ipv4Addr> {
        let mut candidate = FIRST;
        for &taken in &self.taken {
            if taken > candidate {
                break;
            }
            candidate = taken + 1;
        }
        if candidate > LAST {
            return None;
        }
        self.taken.insert(candidate);
        Some(Ipv4Addr::from_bits(candidate))
    }

    /// Marks an address that a running container has; false when it cannot be one of ours or is
    /// taken already.
    pub(crate) fn claim(&mut self, address: Ipv4Addr) -> bool {
        (FIRST..=LAST).contains(&address.to_bits()) && self.taken.insert(address.to_bits())
    }

    pub(crate) fn release(&mut self, address: Ipv4Addr) {
        self.taken.remove(&address.to_bits());
    }
}

/// The hardware address that belongs to an address: no ARP entry is ever stale, because an
/// address always comes back with the same one.
pub(crate) fn mac_of(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}

/// Parses six hex pairs with colons or dashes; multicast addresses are not for interfaces.
pub(crate) fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2)?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    (parts.next().is_none() && mac[0] & 1 == 0).then_some(mac)
}

pub(crate) fn format_mac(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// The name of the bridge's end of a container's cable; follows from the container's id, so it is
/// found again without being remembered.
pub(crate) fn veth_name(container: &str) -> String {
    // An interface's name has at most 15 bytes.
    format!("veth{}", container.chars().take(11).collect::<String>())
}

/// Whether an id can be a file's name: the engine's ids are hex digits.
pub(crate) fn is_id(container: &str) -> bool {
    !container.is_empty()
        && container.len() <= 64
        && container.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_address_is_given() {
        let mut pool = Pool::default();
        let given: Vec<_> = (0..3).filter_map(|_| pool.take()).collect();
        assert_eq!(
            given,
            [
                Ipv4Addr::new(172, 17, 0, 2),
                Ipv4Addr::new(172, 17, 0, 3),
                Ipv4Addr::new(172, 17, 0, 4)
            ]
        );
        pool.release(Ipv4Addr::new(172, 17, 0, 3));
        assert_eq!(pool.take(), Some(Ipv4Addr::new(172, 17, 0, 3)));
        assert_eq!(pool.take(), Some(Ipv4Addr::new(172, 17, 0, 5)));
    }

    #[test]
    fn a_claimed_address_is_not_given_again() {
        let mut pool = Pool::default();
        assert!(pool.claim(Ipv4Addr::new(172, 17, 0, 2)));
        assert!(!pool.claim(Ipv4Addr::new(172, 17, 0, 2)));
        assert_eq!(pool.take(), Some(Ipv4Addr::new(172, 17, 0, 3)));
    }

    #[test]
    fn addresses_outside_the_subnet_are_not_claimed() {
        let mut pool = Pool::default();
        assert!(!pool.claim(GATEWAY));
        assert!(!pool.claim(Ipv4Addr::new(172, 17, 255, 255)));
        assert!(!pool.claim(Ipv4Addr::new(10, 0, 0, 2)));
    }

    #[test]
    fn a_full_subnet_gives_none() {
        let mut pool = Pool::default();
        let claimed = (FIRST..LAST).filter(|bits| pool.claim(Ipv4Addr::from_bits(*bits))).count();
        assert_eq!(claimed, 65536 - 4, "all but network, gateway, the last and broadcast");
        assert_eq!(pool.take(), Some(Ipv4Addr::new(172, 17, 255, 254)));
        assert_eq!(pool.take(), None);
        pool.release(Ipv4Addr::new(172, 17, 9, 9));
        assert_eq!(pool.take(), Some(Ipv4Addr::new(172, 17, 9, 9)));
    }

    #[test]
    fn the_hardware_address_follows_from_the_address() {
        assert_eq!(format_mac(mac_of(Ipv4Addr::new(172, 17, 0, 2))), "02:42:ac:11:00:02");
    }

    #[test]
    fn only_unicast_hardware_addresses_are_accepted() {
        assert_eq!(parse_mac("02:42:AC:11:00:0f"), Some([2, 0x42, 0xac, 0x11, 0, 15]));
        for wrong in [
            "",
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "01:00:00:00:00:00",
            "2:4:a:1:0:2",
            "zz:42:ac:11:00:02",
        ] {
            assert_eq!(parse_mac(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn cable_names_fit_the_kernel() {
        let name = veth_name(&"0123456789abcdef".repeat(4));
        assert_eq!(name, "veth0123456789a");
        assert!(name.len() <= 15);
    }

    #[test]
    fn only_hex_digits_are_ids() {
        assert!(is_id(&"a1".repeat(32)));
        for wrong in ["", "..", "a/b", &"a".repeat(65)] {
            assert!(!is_id(wrong), "{wrong}");
        }
    }
}
