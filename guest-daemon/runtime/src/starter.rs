//! Running the helper: this program again, single-threaded and short-lived, because making
//! containers takes forks and namespaces that threads must not see.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use guest_process::{Child, Command, reap};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Signal, pidfd_send_signal};
use serde::Serialize;

use crate::channel::{self, Answer};

/// The name under which the daemon's `main` finds [`crate::role_main`].
pub(crate) const ROLE: &str = "runtime";

const THIS_PROGRAM: &str = "/proc/self/exe";
const TIMEOUT: Duration = Duration::from_secs(120);

/// What the helper can do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    Create,
    Exec,
}

impl Task {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Exec => "exec",
        }
    }
}

/// Has the helper do one task; blocks until it has ended.
pub(crate) fn run(
    task: Task,
    request: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<(Answer, Option<OwnedFd>)> {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let child = Command::new(THIS_PROGRAM)
        .args([THIS_PROGRAM, ROLE, task.name()])
        .descriptor(theirs, 0)
        .spawn()?;
    let answer = converse(&ours, &child, request, descriptors);
    if answer.is_err() {
        // It has nothing to live for any more; it may have ended already.
        pidfd_send_signal(&child.pidfd, Signal::KILL).ok();
    }
    wait_until(&[child.pidfd.as_fd()])?;
    reap(child.pid)?;
    let (answer, descriptors) = answer?;
    Ok((answer, descriptors.into_iter().next()))
}

fn converse(
    socket: &OwnedFd,
    child: &Child,
    request: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<(Answer, Vec<OwnedFd>)> {
    channel::send(socket.as_fd(), request, descriptors)?;
    // The socket alone would not do: a container that waits for its start still has a copy of the
    // other end, so there is no end of file when the helper dies.
    let ready = wait_until(&[socket.as_fd(), child.pidfd.as_fd()])?;
    if !ready[0] {
        return Err(io::Error::other("the starter ended without an answer"));
    }
    channel::receive(socket)
}

/// Waits until one of these can be read and says which can.
fn wait_until(descriptors: &[BorrowedFd<'_>]) -> io::Result<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> =
        descriptors.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    let timeout = Timespec::try_from(TIMEOUT).map_err(io::Error::other)?;
    loop {
        match poll(&mut polled, Some(&timeout)) {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the starter hangs")),
            Ok(_) => return Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
