//! Conversations with the starter and what it forks: messages that are each a length, that many
//! bytes of JSON, and descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Larger than the kernel lets arguments and environment be.
const MESSAGE_BYTES: usize = 16 << 20;
const DESCRIPTORS: usize = 7;

/// What a forked process is for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    Create,
    Exec,
    /// Only be there until nobody listens any more.
    Wait,
}

/// Fork a process. With its end of a conversation, the directory of its cgroup, and, for a new
/// container, a process whose pid namespace it is to be in, unless that is a new one or the guest's.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) task: Task,
    /// The new namespaces it is to be in, as clone(2) has them.
    pub(crate) namespaces: u64,
}

/// What became of a request; with one descriptor, the terminal, if there is one.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) enum Answer {
    Running {
        pid: i32,
        start_time: u64,
    },
    /// It is forked, and waits to be told to go on.
    Forked {
        pid: i32,
    },
    /// It is about to become the program.
    Ready,
    /// What was asked for is wrong.
    Refused(String),
    /// Something else is.
    Failed(String),
}

pub(crate) fn send(
    socket: BorrowedFd<'_>,
    message: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?.to_ne_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors"));
    }
    // The descriptors go with the length, which is never split.
    sendmsg(socket, &[IoSlice::new(&length)], &mut ancillary, SendFlags::NOSIGNAL)?;
    let mut rest = body.as_slice();
    while !rest.is_empty() {
        let sent = rustix::net::send(socket, rest, SendFlags::NOSIGNAL)?;
        rest = &rest[sent..];
    }
    Ok(())
}

pub(crate) fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<(T, Vec<OwnedFd>)> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        &socket,
        &mut [IoSliceMut::new(&mut length)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL,
    )?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    let length = u32::from_ne_bytes(length) as usize;
    if received.bytes != 4 || length > MESSAGE_BYTES {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut body = vec![0; length];
    let mut filled = 0;
    while filled < length {
        let (count, _) = rustix::net::recv(&socket, &mut body[filled..], RecvFlags::empty())?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += count;
    }
    Ok((serde_json::from_slice(&body)?, descriptors))
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn long_messages_and_descriptors_arrive_whole() {
        let (a, b) = pair();
        let long = "x".repeat(1 << 20);
        let sender = std::thread::spawn({
            let long = long.clone();
            move || send(a.as_fd(), &Answer::Refused(long), &[a.as_fd()]).unwrap()
        });
        let (answer, descriptors) = receive::<Answer>(&b).unwrap();
        sender.join().unwrap();
        assert_eq!(answer, Answer::Refused(long));
        assert_eq!(descriptors.len(), 1);
    }

    #[test]
    fn a_closed_or_broken_conversation_is_an_error() {
        let (a, b) = pair();
        drop(a);
        receive::<Answer>(&b).unwrap_err();
        let (a, b) = pair();
        rustix::io::write(&a, &[0xff; 64]).unwrap();
        receive::<Answer>(&b).unwrap_err();
    }
}
