//! The conversation with the helper process: one request, one answer, each a length, that many
//! bytes of JSON, and descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Larger than the kernel lets arguments and environment be.
const MESSAGE_BYTES: usize = 16 << 20;
const DESCRIPTORS: usize = 4;

/// Make a container up to the point where it waits for the start. With three descriptors: its
/// standard streams, unless it has a terminal.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CreateRequest {
    pub(crate) id: String,
    /// Where libcontainer keeps its state.
    pub(crate) root: PathBuf,
    /// The directory of `config.json`.
    pub(crate) bundle: PathBuf,
    pub(crate) terminal: bool,
}

/// Run another process in a container. With its three streams unless it has a terminal.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExecRequest {
    pub(crate) container_pid: i32,
    pub(crate) container_start_time: u64,
    pub(crate) cgroup: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) cwd: String,
    pub(crate) user: String,
    pub(crate) additional_groups: Vec<String>,
    pub(crate) terminal: bool,
    pub(crate) rows: u16,
    pub(crate) columns: u16,
    pub(crate) capabilities: Vec<String>,
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp: Option<Value>,
    /// As OCI has them.
    pub(crate) rlimits: Value,
    pub(crate) oom_score_adj: i32,
}

/// What became of a request; with one descriptor, the terminal, if there is one.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) enum Answer {
    Running {
        pid: i32,
        start_time: u64,
    },
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
