//! Network links, set over rtnetlink: loopback, and `eth0` in QEMU's user-mode network, whose
//! addresses are always the same, so that nothing waits for DHCP.

use std::fs;
use std::io;
use std::net::Ipv4Addr;

use nix::libc;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::console::event;

/// QEMU's user-mode network.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const PREFIX_LENGTH: u8 = 24;
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
pub(crate) const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// The largest that virtio takes; throughput of the user-mode network grows with it.
const MTU: u32 = 65_520;

const LOOPBACK: u32 = 1;

/// Brings all links up. A machine without `eth0` is reachable by nobody but still starts.
pub(crate) fn bring_up() -> io::Result<()> {
    let socket = Netlink::open()?;
    socket.request(&link_up(LOOPBACK, None))?;
    let index = match fs::read_to_string("/sys/class/net/eth0/ifindex") {
        Ok(text) => text.trim().parse().map_err(io::Error::other)?,
        Err(error) => {
            event!(Warn, "there is no eth0", because = error);
            return Ok(());
        }
    };
    if let Err(error) = socket.request(&link_up(index, Some(MTU))) {
        event!(Warn, "eth0 keeps its MTU", because = error);
        socket.request(&link_up(index, None))?;
    }
    socket.request(&new_address(index))?;
    socket.request(&default_route(index))?;
    // Later interfaces trust no router (see the settings); this one may, though it forwards.
    if let Err(error) = fs::write("/proc/sys/net/ipv6/conf/eth0/accept_ra", "2") {
        event!(Warn, "no IPv6 router on eth0", because = error);
    }
    Ok(())
}

struct Netlink(std::os::fd::OwnedFd);

impl Netlink {
    fn open() -> io::Result<Self> {
        let kind = SocketType::RAW;
        let flags = SocketFlags::CLOEXEC;
        Ok(Netlink(rustix::net::socket_with(AddressFamily::NETLINK, kind, flags, None)?))
    }

    /// Sends one request and waits for the kernel's acknowledgement, which comes at once.
    fn request(&self, message: &[u8]) -> io::Result<()> {
        rustix::net::send(&self.0, message, SendFlags::empty())?;
        let mut answer = [0; 4096];
        let (length, _) = rustix::net::recv(&self.0, &mut answer[..], RecvFlags::empty())?;
        acknowledged(&answer[..length])
    }
}

/// An acknowledgement is an error message with error 0.
fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let error = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind.map(i32::from), error) {
        (Some(libc::NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(libc::NLMSG_ERROR), Some(error)) => Err(io::Error::from_raw_os_error(-error)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "an unexpected netlink answer")),
    }
}

/// struct ifinfomsg, with IFLA_MTU.
fn link_up(index: u32, mtu: Option<u32>) -> Vec<u8> {
    let up = 1_u32.to_ne_bytes();
    let mut body = vec![0; 4];
    body.extend(index.to_ne_bytes());
    body.extend(up);
    body.extend(up);
    if let Some(mtu) = mtu {
        attribute(&mut body, libc::IFLA_MTU, &mtu.to_ne_bytes());
    }
    message(libc::RTM_NEWLINK, 0, &body)
}

/// struct ifaddrmsg, with IFA_LOCAL, IFA_ADDRESS and IFA_BROADCAST.
fn new_address(index: u32) -> Vec<u8> {
    let mut body = vec![2, PREFIX_LENGTH, 0, 0];
    body.extend(index.to_ne_bytes());
    let broadcast = Ipv4Addr::from(u32::from(ADDRESS) | (u32::MAX >> PREFIX_LENGTH));
    attribute(&mut body, libc::IFA_LOCAL, &ADDRESS.octets());
    attribute(&mut body, libc::IFA_ADDRESS, &ADDRESS.octets());
    attribute(&mut body, libc::IFA_BROADCAST, &broadcast.octets());
    message(libc::RTM_NEWADDR, libc::NLM_F_CREATE | libc::NLM_F_REPLACE, &body)
}

/// struct rtmsg: family, two prefix lengths, tos, table, protocol, scope, type, flags; with
/// RTA_GATEWAY and RTA_OIF.
fn default_route(index: u32) -> Vec<u8> {
    let mut body =
        vec![2, 0, 0, 0, libc::RT_TABLE_MAIN, libc::RTPROT_BOOT, libc::RT_SCOPE_UNIVERSE];
    body.push(libc::RTN_UNICAST);
    body.extend([0; 4]);
    attribute(&mut body, libc::RTA_GATEWAY, &GATEWAY.octets());
    attribute(&mut body, libc::RTA_OIF, &index.to_ne_bytes());
    message(libc::RTM_NEWROUTE, libc::NLM_F_CREATE | libc::NLM_F_REPLACE, &body)
}

/// A netlink header and its body.
fn message(kind: u16, flags: i32, body: &[u8]) -> Vec<u8> {
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags).to_ne_bytes();
    let mut message = u32::try_from(16 + body.len()).unwrap_or_default().to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    // The header has 16 bits for them; all flags lie in the lower half.
    message.extend(if cfg!(target_endian = "little") { &flags[..2] } else { &flags[2..] });
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// Appends one attribute; all of ours have lengths divisible by four and need no padding.
fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend(u16::try_from(4 + value.len()).unwrap_or_default().to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_tells_its_own_length() {
        for message in [link_up(1, None), link_up(2, Some(MTU)), new_address(2), default_route(2)] {
            let length = u32::from_ne_bytes(message[..4].try_into().unwrap());
            assert_eq!(length as usize, message.len());
            assert_eq!(message.len() % 4, 0);
        }
    }

    #[test]
    fn the_kernel_s_refusal_is_an_error() {
        let mut answer = message(2, 0, &(-libc::EINVAL).to_ne_bytes());
        assert_eq!(acknowledged(&answer).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        answer[16..20].fill(0);
        acknowledged(&answer).unwrap();
        assert!(acknowledged(&answer[..10]).is_err());
    }
}
