//! The firewall: one nf_tables table of our own, always replaced as a whole.
//!
//! **Invariant:** what the kernel has is exactly what [`ruleset`] says; there is no way to add or
//! remove a single rule, so the table and the memory cannot drift apart.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::addresses::{BRIDGE, HOST_NETWORK, HOST_PREFIX_LEN, NETWORK, PREFIX_LEN, RESOLVER};
use crate::netlink::{Answer, Attributes, Batch, read_answers};
use crate::rules::{ExprList, Hook};

const TCP: u8 = 6;
const UDP: u8 = 17;
const DNS_PORT: u16 = 53;

const TABLE: &str = "machine";
const FAMILY_IPV4: u8 = 2;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
const NEWTABLE: u16 = 0;
const DELTABLE: u16 = 2;
const NEWCHAIN: u16 = 3;
const NEWRULE: u16 = 6;

/// A published port as the firewall sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Forward {
    /// 6 or 17.
    pub(crate) protocol: u8,
    pub(crate) guest_port: u16,
    pub(crate) address: Ipv4Addr,
    pub(crate) container_port: u16,
}

/// The transaction that makes the table be as described. Containers reach nothing of the laptop but
/// its resolver and `host_gateway`.
pub(crate) fn ruleset(forwards: &[Forward], host_gateway: Option<Ipv4Addr>) -> (Vec<u8>, u32) {
    let mut batch = Batch::new();
    // Creating first makes deleting succeed on the first run, too.
    let table = Attributes::new().text(1, TABLE);
    batch.add(NEWTABLE, CREATE, FAMILY_IPV4, &table);
    batch.add(DELTABLE, 0, FAMILY_IPV4, &table);
    batch.add(NEWTABLE, CREATE, FAMILY_IPV4, &table);

    chain(&mut batch, "prerouting", "nat", Hook::PreRouting, -100);
    chain(&mut batch, "output", "nat", Hook::Output, -100);
    for forward in forwards {
        rule(&mut batch, "prerouting", publish(ExprList::new(), forward));
        // Whoever connects to a loopback address of the guest means a program of the guest.
        rule(
            &mut batch,
            "output",
            publish(ExprList::new().destination_outside(Ipv4Addr::new(127, 0, 0, 0), 8), forward),
        );
    }

    chain(&mut batch, "postrouting", "nat", Hook::PostRouting, 100);
    let inside = || ExprList::new().source_inside(NETWORK, PREFIX_LEN);
    rule(&mut batch, "postrouting", inside().output_is_not(BRIDGE).masquerade());
    // A container that uses a published port of its neighbour must see the answer come from where
    // it asked.
    rule(&mut batch, "postrouting", inside().output_is(BRIDGE).translated().masquerade());

    chain(&mut batch, "forward", "filter", Hook::Forward, 0);
    let inbound = || ExprList::new().output_is(BRIDGE).input_is_not(BRIDGE);
    rule(&mut batch, "forward", inbound().established().accept());
    rule(&mut batch, "forward", inbound().translated().accept());
    rule(&mut batch, "forward", inbound().drop_packet());
    let outbound = || ExprList::new().input_is(BRIDGE);
    rule(&mut batch, "forward", outbound().established().accept());
    let to = |address| outbound().destination_inside(address, 32);
    for protocol in [TCP, UDP] {
        let names = to(RESOLVER).protocol_is(protocol).destination_port_is(DNS_PORT);
        rule(&mut batch, "forward", names.accept());
    }
    if let Some(address) = host_gateway {
        rule(&mut batch, "forward", to(address).accept());
    }
    let laptop = outbound().destination_inside(HOST_NETWORK, HOST_PREFIX_LEN);
    rule(&mut batch, "forward", laptop.reject());
    batch.finish()
}

/// Makes the kernel's table be as described; blocks for as long as the kernel takes.
pub(crate) fn apply(forwards: &[Forward], host_gateway: Option<Ipv4Addr>) -> io::Result<()> {
    let (transaction, last) = ruleset(forwards, host_gateway);
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )?;
    bind(netlink.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    setsockopt(&netlink, sockopt::ReceiveTimeout, &TimeVal::seconds(10))?;
    // A transaction is one datagram; the default buffer takes a few hundred published ports.
    setsockopt(&netlink, sockopt::SndBufForce, &(transaction.len() * 2).max(1 << 18))?;
    setsockopt(&netlink, sockopt::RcvBufForce, &(1 << 20))?;
    send(netlink.as_raw_fd(), &transaction, MsgFlags::empty())?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let received = recv(netlink.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        match read_answers(&buffer[..received], last) {
            Answer::More => {}
            Answer::Done => return Ok(()),
            Answer::Failed { sequence, errno } => {
                tracing::warn!(sequence, errno, "the kernel refused a firewall rule");
                return Err(io::Error::from_raw_os_error(errno));
            }
        }
    }
}

fn publish(start: ExprList, forward: &Forward) -> ExprList {
    start
        .destination_is_this_machine()
        .protocol_is(forward.protocol)
        .destination_port_is(forward.guest_port)
        .translate_to(forward.address, forward.container_port)
}

fn chain(batch: &mut Batch, name: &str, kind: &str, hook: Hook, priority: i32) {
    const ACCEPT: u32 = 1;
    let hook = Attributes::new().number(1, hook as u32).number(2, priority.cast_unsigned());
    let attributes = Attributes::new()
        .text(1, TABLE)
        .text(3, name)
        .nested(4, hook)
        .number(5, ACCEPT)
        .text(7, kind);
    batch.add(NEWCHAIN, CREATE, FAMILY_IPV4, &attributes);
}

fn rule(batch: &mut Batch, chain: &str, expressions: ExprList) {
    let attributes =
        Attributes::new().text(1, TABLE).text(2, chain).nested(4, expressions.into_attributes());
    batch.add(NEWRULE, CREATE | APPEND, FAMILY_IPV4, &attributes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(bytes: &[u8]) -> Vec<(u16, usize)> {
        let mut rest = bytes;
        let mut found = Vec::new();
        while rest.len() >= 16 {
            let length = u32::from_ne_bytes(rest[..4].try_into().unwrap()) as usize;
            found.push((u16::from_ne_bytes([rest[4], rest[5]]), length));
            rest = &rest[length..];
        }
        assert!(rest.is_empty());
        found
    }

    #[test]
    fn the_table_is_replaced_in_one_transaction() {
        let (bytes, last) = ruleset(&[], None);
        let kinds: Vec<u16> = messages(&bytes).iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds.first(), Some(&0x10));
        assert_eq!(kinds.last(), Some(&0x11));
        assert_eq!(kinds[1..4], [0xa00, 0xa02, 0xa00]);
        assert_eq!(kinds.iter().filter(|kind| **kind == 0xa03).count(), 4, "chains");
        assert_eq!(kinds.iter().filter(|kind| **kind == 0xa06).count(), 9, "rules");
        assert_eq!(last as usize, kinds.len() - 1);
    }

    #[test]
    fn every_published_port_has_a_rule_for_both_ways_in() {
        let forward = Forward {
            protocol: 6,
            guest_port: 8080,
            address: Ipv4Addr::new(172, 17, 0, 2),
            container_port: 80,
        };
        let rules = |forwards: &[Forward]| {
            messages(&ruleset(forwards, None).0).iter().filter(|(kind, _)| *kind == 0xa06).count()
        };
        assert_eq!(rules(&[forward]), rules(&[]) + 2);
        let (bytes, _) = ruleset(&[forward], None);
        let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        assert!(has(&[172, 17, 0, 2]), "the container's address");
        assert!(has(&8080_u16.to_be_bytes()), "the guest's port");
    }
}
