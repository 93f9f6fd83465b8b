//! What the daemon and init say to each other: one JSON document a packet, descriptors beside it.
//!
//! ```text
//!  daemon ──── Request { id, body } (+ one descriptor with Store) ───► init
//!  daemon ◄─── Reply { id, body }   (+ descriptors with Descriptors) ── init
//! ```
//!
//! A `Wait` may be answered much later; everything else is answered at once.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize};

/// Where init listens; the directory is 0700.
pub(crate) const SOCKET_PATH: &str = "/run/init/socket";

/// No packet is larger, in either direction.
pub(crate) const PACKET_BYTES: usize = 64 * 1024;

/// No packet carries more descriptors. The kernel's limit is 253.
pub(crate) const PACKET_DESCRIPTORS: usize = 64;

/// No name of a kept descriptor is longer.
pub(crate) const NAME_BYTES: usize = 255;

#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) body: RequestBody,
}

#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) enum RequestBody {
    /// Keep the descriptor that comes with this packet; replaces one of the same name.
    Store {
        name: String,
    },
    /// Close the kept descriptor; no error when there is none.
    Remove {
        name: String,
    },
    /// Send all kept descriptors.
    List,
    /// How did, or will, this process end?
    Wait {
        pid: i32,
        start_time: u64,
    },
    PowerOff,
    Reboot,
}

#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) id: u64,
    pub(crate) body: ReplyBody,
}

#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) enum ReplyBody {
    Done,
    /// The names of the descriptors in this packet, in their order.
    Descriptors {
        names: Vec<String>,
        more: bool,
    },
    Exited {
        status: i32,
        unix_nanos: i64,
    },
    /// Such a process neither runs nor was recorded.
    NoSuchProcess,
    Refused {
        because: String,
    },
}

/// Sends one packet; `WouldBlock` when there is no room.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PACKET_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors"));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, flags)?;
    Ok(())
}

/// Receives one packet; empty means that the other side is gone, `WouldBlock` that none is there.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; PACKET_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PACKET_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received =
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an oversized packet"));
    }
    bytes.truncate(received.bytes);
    Ok((bytes, descriptors))
}
