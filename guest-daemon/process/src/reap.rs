//! Learning how processes ended.

use std::io;
use std::time::Instant;

use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// It exited with this code.
    Exit(i32),
    /// This signal killed it.
    Signal(i32),
}

/// The pid of a child that has ended; it stays a zombie, so its /proc entry can still be read,
/// until [`reap`] takes it. `None` when no child has ended or there is no child.
pub fn next_exited() -> io::Result<Option<i32>> {
    Ok(match family()? {
        Family::Ended(pid) => Some(pid),
        Family::AllRun | Family::NoChild => None,
    })
}

enum Family {
    NoChild,
    AllRun,
    Ended(i32),
}

#[expect(unsafe_code, reason = "the safe wrapper knows no real-time signals")]
fn family() -> io::Result<Family> {
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    loop {
        // SAFETY: all zero is a valid value of it, and says that no child has ended.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: the information is a valid place to write to for the whole call.
        if unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags) } == 0 {
            // SAFETY: it is zero still, or about a child.
            return Ok(match unsafe { info.si_pid() } {
                0 => Family::AllRun,
                pid => Family::Ended(pid),
            });
        }
        return match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => continue,
            error if error.raw_os_error() == Some(libc::ECHILD) => Ok(Family::NoChild),
            error => Err(error),
        };
    }
}

/// SIGCHLD must be blocked. One that was sent before is still pending, so none is missed.
fn wait_for_sigchld(deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let mut wanted = SigSet::empty();
    wanted.add(Signal::SIGCHLD);
    let descriptor = SignalFd::with_flags(&wanted, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let timeout = rustix::event::Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    let mut readable = [PollFd::new(&descriptor, PollFlags::IN)];
    match rustix::event::poll(&mut readable, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    descriptor.read_signal()?;
    Ok(())
}

/// Takes a child that has ended and returns its raw status; `None` while it still runs.
#[expect(unsafe_code, reason = "the safe wrapper loses the raw status of real-time signals")]
pub fn reap(pid: i32) -> io::Result<Option<i32>> {
    let mut status = 0;
    loop {
        // SAFETY: the status is a valid place to write to for the whole call.
        return match unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } {
            0 => Ok(None),
            -1 => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => continue,
                error => Err(error),
            },
            _ => Ok(Some(status)),
        };
    }
}

/// Reaps one child, whichever ends first; SIGCHLD must be blocked. `false` when there is no child any more; an error of
/// kind `TimedOut` when none has ended before the deadline.
pub fn reap_any_until(deadline: Instant) -> io::Result<bool> {
    loop {
        let pid = match family()? {
            Family::NoChild => return Ok(false),
            Family::Ended(pid) => pid,
            Family::AllRun => {
                wait_for_sigchld(deadline)?;
                continue;
            }
        };
        reap(pid)?;
        return Ok(true);
    }
}

/// What a raw status of waitpid(2) means.
pub fn ended_by(status: i32) -> EndedBy {
    if libc::WIFSIGNALED(status) {
        EndedBy::Signal(libc::WTERMSIG(status))
    } else {
        EndedBy::Exit(libc::WEXITSTATUS(status))
    }
}

/// A raw status as the shell counts: the exit code, or 128 plus the signal.
pub fn shell_code(status: i32) -> i32 {
    match ended_by(status) {
        EndedBy::Exit(code) => code,
        EndedBy::Signal(signal) => 128 + signal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_the_shell_reads_it() {
        assert_eq!(shell_code(42 << 8), 42);
        assert_eq!(shell_code(libc::SIGKILL), 137);
        assert_eq!(ended_by(libc::SIGSEGV | 0x80), EndedBy::Signal(libc::SIGSEGV));
    }
}
