//! The daemon's side of the starter: having it started, and giving it orders.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use guest_process::{Command, reap};
use nix::libc;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use serde::Serialize;

use crate::attach::{READ_ONLY, set_attributes};
use crate::channel::{self, Answer, Order};

/// The name under which the daemon's `main` finds [`crate::role_main`].
const ROLE: &str = "runtime";

const THIS_PROGRAM: &str = "/proc/self/exe";
const TIMEOUT: Duration = Duration::from_secs(120);

/// The process that forks for the daemon. It is started when it is first needed, and again when it
/// is gone.
#[derive(Debug, Default)]
pub(crate) struct Starter {
    socket: Mutex<Option<OwnedFd>>,
}

/// A conversation with a new process.
#[derive(Debug)]
pub(crate) struct Conversation(OwnedFd);

impl Starter {
    /// Has it started ahead of the first order.
    pub(crate) fn warm_up(&self) -> io::Result<()> {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if socket.is_none() {
            *socket = Some(start()?);
        }
        Ok(())
    }

    /// Has a process forked in a cgroup, in the pid namespace of `container` if there is one, and
    /// sends it what it is to become.
    pub(crate) fn begin(
        &self,
        order: &Order,
        cgroup: BorrowedFd<'_>,
        container: Option<BorrowedFd<'_>>,
        request: &impl Serialize,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<Conversation> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        let mut given = vec![theirs.as_fd(), cgroup];
        given.extend(container);
        self.give(order, &given)?;
        // From here on only the new process has the other end: if it ends, so does the
        // conversation.
        drop(given);
        drop(theirs);
        match channel::send(ours.as_fd(), request, descriptors) {
            // It could not be forked; the answer says why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            other => other?,
        }
        Ok(Conversation(ours))
    }

    fn give(&self, order: &Order, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut known = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(socket) = known.take()
            && channel::send(socket.as_fd(), order, descriptors).is_ok()
        {
            *known = Some(socket);
            return Ok(());
        }
        // The first time, or the one that was there is gone.
        let socket = start()?;
        channel::send(socket.as_fd(), order, descriptors)?;
        *known = Some(socket);
        Ok(())
    }
}

impl Conversation {
    /// The next answer, and its terminal if it has one; `None` when the conversation is over.
    pub(crate) fn next(&self) -> io::Result<Option<(Answer, Option<OwnedFd>)>> {
        wait_until_readable(self.0.as_fd())?;
        match channel::receive(&self.0) {
            Ok((answer, descriptors)) => Ok(Some((answer, descriptors.into_iter().next()))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tells a process that waits to go on.
    pub(crate) fn go_on(&self) -> io::Result<()> {
        rustix::net::send(&self.0, &[1], rustix::net::SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// The first answer, which must come.
    pub(crate) fn first(&self) -> io::Result<(Answer, Option<OwnedFd>)> {
        self.next()?.ok_or_else(|| io::Error::other("the process ended before it was ready"))
    }
}

/// Starts it. It makes itself a child of PID 1, so what is waited for here ends at once.
fn start() -> io::Result<OwnedFd> {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let program = unwritable()?;
    let child = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
        .args([THIS_PROGRAM, ROLE])
        .descriptor(theirs, 0)
        .spawn()?;
    wait_until_readable(child.pidfd.as_fd())?;
    match reap(child.pid)? {
        Some(0) => Ok(ours),
        status => Err(io::Error::other(format!("the starter ended with {status:?}"))),
    }
}

/// This program by a mount of its own that nobody can write through: until it has become
/// something else, a process in a container leads to it by way of /proc/PID/exe.
fn unwritable() -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    // By its name: what the link leads to belongs to the mounts this program was started from.
    let program = open_tree(CWD, &std::fs::read_link(THIS_PROGRAM)?, flags)?;
    set_attributes(program.as_fd(), READ_ONLY, libc::AT_EMPTY_PATH)?;
    Ok(program)
}

fn wait_until_readable(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let timeout = Timespec::try_from(TIMEOUT).map_err(io::Error::other)?;
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the starter hangs")),
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
