//! Expressions of nf_tables rules, named by what they mean.
//!
//! Numbers are the kernel's (`linux/netfilter/nf_tables.h`).

use std::net::Ipv4Addr;

use crate::netlink::Attributes;

/// Where in a packet's way a chain stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hook {
    PreRouting = 0,
    Forward = 2,
    Output = 3,
    PostRouting = 4,
}

const REGISTER_VERDICT: u32 = 0;
const REGISTER_1: u32 = 1;
const REGISTER_2: u32 = 2;

const META_INPUT_NAME: u32 = 6;
const META_OUTPUT_NAME: u32 = 7;
const META_PROTOCOL: u32 = 16;

const CT_STATE: u32 = 0;
const CT_STATUS: u32 = 2;
const STATE_ESTABLISHED_OR_RELATED: u32 = 2 | 4;
const STATUS_DESTINATION_TRANSLATED: u32 = 1 << 5;

const BASE_NETWORK: u32 = 1;
const BASE_TRANSPORT: u32 = 2;
const SOURCE_ADDRESS: u32 = 12;
const DESTINATION_ADDRESS: u32 = 16;

const VERDICT_DROP: u32 = 0;
const VERDICT_ACCEPT: u32 = 1;

/// How a comparison decides.
#[derive(Clone, Copy)]
enum Compare {
    Equal = 0,
    NotEqual = 1,
}

/// The expressions of one rule, in the order in which the kernel evaluates them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExprList(Attributes);

impl ExprList {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn into_attributes(self) -> Attributes {
        self.0
    }

    pub(crate) fn input_is(self, interface: &str) -> Self {
        self.meta(META_INPUT_NAME).compare(Compare::Equal, &interface_name(interface))
    }

    pub(crate) fn input_is_not(self, interface: &str) -> Self {
        self.meta(META_INPUT_NAME).compare(Compare::NotEqual, &interface_name(interface))
    }

    pub(crate) fn output_is(self, interface: &str) -> Self {
        self.meta(META_OUTPUT_NAME).compare(Compare::Equal, &interface_name(interface))
    }

    pub(crate) fn output_is_not(self, interface: &str) -> Self {
        self.meta(META_OUTPUT_NAME).compare(Compare::NotEqual, &interface_name(interface))
    }

    pub(crate) fn source_inside(self, network: Ipv4Addr, prefix_len: u8) -> Self {
        self.address(SOURCE_ADDRESS, network, prefix_len, Compare::Equal)
    }

    pub(crate) fn destination_inside(self, network: Ipv4Addr, prefix_len: u8) -> Self {
        self.address(DESTINATION_ADDRESS, network, prefix_len, Compare::Equal)
    }

    pub(crate) fn destination_outside(self, network: Ipv4Addr, prefix_len: u8) -> Self {
        self.address(DESTINATION_ADDRESS, network, prefix_len, Compare::NotEqual)
    }

    /// The destination is one of this machine's own addresses.
    pub(crate) fn destination_is_this_machine(self) -> Self {
        const RESULT_ADDRESS_TYPE: u32 = 3;
        const OF_DESTINATION: u32 = 2;
        const LOCAL: u32 = 2;
        let lookup = Attributes::new()
            .number(1, REGISTER_1)
            .number(2, RESULT_ADDRESS_TYPE)
            .number(3, OF_DESTINATION);
        self.expression("fib", lookup).compare(Compare::Equal, &LOCAL.to_ne_bytes())
    }

    pub(crate) fn protocol_is(self, protocol: u8) -> Self {
        self.meta(META_PROTOCOL).compare(Compare::Equal, &[protocol])
    }

    pub(crate) fn destination_port_is(self, port: u16) -> Self {
        self.payload(BASE_TRANSPORT, 2, 2).compare(Compare::Equal, &port.to_be_bytes())
    }

    pub(crate) fn established(self) -> Self {
        self.connection(CT_STATE, STATE_ESTABLISHED_OR_RELATED)
    }

    /// The connection came by a published port.
    pub(crate) fn translated(self) -> Self {
        self.connection(CT_STATUS, STATUS_DESTINATION_TRANSLATED)
    }

    pub(crate) fn translate_to(self, address: Ipv4Addr, port: u16) -> Self {
        const DESTINATION: u32 = 1;
        const IPV4: u32 = 2;
        let translation = Attributes::new()
            .number(1, DESTINATION)
            .number(2, IPV4)
            .number(3, REGISTER_1)
            .number(5, REGISTER_2);
        self.immediate(REGISTER_1, &address.octets())
            .immediate(REGISTER_2, &port.to_be_bytes())
            .expression("nat", translation)
    }

    pub(crate) fn masquerade(self) -> Self {
        self.expression("masq", Attributes::new())
    }

    pub(crate) fn accept(self) -> Self {
        self.verdict(VERDICT_ACCEPT)
    }

    pub(crate) fn drop_packet(self) -> Self {
        self.verdict(VERDICT_DROP)
    }

    /// Refuses the packet, and says so to whoever sent it.
    pub(crate) fn reject(self) -> Self {
        const ICMP_UNREACHABLE: u32 = 0;
        const PORT_UNREACHABLE: u8 = 3;
        let how = Attributes::new().number(1, ICMP_UNREACHABLE).bytes(2, &[PORT_UNREACHABLE]);
        self.expression("reject", how)
    }

    fn verdict(self, code: u32) -> Self {
        let verdict = Attributes::new().nested(2, Attributes::new().number(1, code));
        let attributes = Attributes::new().number(1, REGISTER_VERDICT).nested(2, verdict);
        self.expression("immediate", attributes)
    }

    fn immediate(self, register: u32, value: &[u8]) -> Self {
        let attributes = Attributes::new().number(1, register).nested(2, data(value));
        self.expression("immediate", attributes)
    }

    fn meta(self, key: u32) -> Self {
        self.expression("meta", Attributes::new().number(1, REGISTER_1).number(2, key))
    }

    fn payload(self, base: u32, offset: u32, length: u32) -> Self {
        let attributes = Attributes::new()
            .number(1, REGISTER_1)
            .number(2, base)
            .number(3, offset)
            .number(4, length);
        self.expression("payload", attributes)
    }

    fn address(self, offset: u32, network: Ipv4Addr, prefix_len: u8, compare: Compare) -> Self {
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix_len)).unwrap_or(0).to_be_bytes();
        self.payload(BASE_NETWORK, offset, 4).mask(&mask).compare(compare, &network.octets())
    }

    fn connection(self, key: u32, mask: u32) -> Self {
        self.expression("ct", Attributes::new().number(1, REGISTER_1).number(2, key))
            .mask(&mask.to_ne_bytes())
            .compare(Compare::NotEqual, &[0; 4])
    }

    fn mask(self, mask: &[u8; 4]) -> Self {
        let attributes = Attributes::new()
            .number(1, REGISTER_1)
            .number(2, REGISTER_1)
            .number(3, 4)
            .nested(4, data(mask))
            .nested(5, data(&[0; 4]));
        self.expression("bitwise", attributes)
    }

    fn compare(self, compare: Compare, value: &[u8]) -> Self {
        let attributes = Attributes::new()
            .number(1, REGISTER_1)
            .number(2, compare as u32)
            .nested(3, data(value));
        self.expression("cmp", attributes)
    }

    fn expression(self, name: &str, attributes: Attributes) -> Self {
        const ELEMENT: u16 = 1;
        let expression = Attributes::new().text(1, name).nested(2, attributes);
        Self(self.0.nested(ELEMENT, expression))
    }
}

fn data(value: &[u8]) -> Attributes {
    Attributes::new().bytes(1, value)
}

/// The kernel compares all 16 bytes of a name.
fn interface_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(name.bytes().take(15)) {
        *to = from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expressions of a rule as `nft --debug=netlink` would have them in a netlink dump.
    #[cfg(target_endian = "little")]
    #[test]
    fn a_comparison_with_a_protocol_is_the_kernels_bytes() {
        let rule = Attributes::new().nested(4, ExprList::new().protocol_is(6).into_attributes());
        let expected = Attributes::new().bytes(
            0x8004,
            &[
                // meta load l4proto => reg 1
                36, 0, 1, 0x80, 9, 0, 1, 0, b'm', b'e', b't', b'a', 0, 0, 0, 0, 20, 0, 2, 0x80, 8,
                0, 1, 0, 0, 0, 0, 1, 8, 0, 2, 0, 0, 0, 0, 16, // cmp eq reg 1 0x00000006
                44, 0, 1, 0x80, 8, 0, 1, 0, b'c', b'm', b'p', 0, 32, 0, 2, 0x80, 8, 0, 1, 0, 0, 0,
                0, 1, 8, 0, 2, 0, 0, 0, 0, 0, 12, 0, 3, 0x80, 5, 0, 1, 0, 6, 0, 0, 0,
            ],
        );
        assert_eq!(rule, expected);
    }

    #[test]
    fn interface_names_are_compared_whole() {
        assert_eq!(&interface_name("docker0"), b"docker0\0\0\0\0\0\0\0\0\0");
        assert_eq!(interface_name(&"x".repeat(40))[15], 0);
    }
}
