//! Signals to processes that cannot be mistaken for later ones.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use engine::ports::ProcessId;
use nix::libc;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Sends a signal; `NotFound` when the process has ended.
pub(crate) fn send(process: ProcessId, signal: i32) -> io::Result<()> {
    let descriptor = hold(process)?;
    send_to(&descriptor, signal)
}

/// A descriptor of the process, compared while it holds the number fast; `NotFound` when the
/// process has ended.
pub(crate) fn hold(process: ProcessId) -> io::Result<OwnedFd> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let pid = Pid::from_raw(process.pid).ok_or_else(gone)?;
    let descriptor = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| gone())?;
    if guest_process::start_time(process.pid)? != process.start_time {
        return Err(gone());
    }
    Ok(descriptor)
}

#[expect(unsafe_code, reason = "the safe wrapper does not take real-time signals")]
fn send_to(descriptor: &OwnedFd, signal: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open, and a null siginfo is allowed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            descriptor.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ESRCH) => Err(io::ErrorKind::NotFound.into()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn this_process() -> ProcessId {
        let pid = i32::try_from(std::process::id()).unwrap();
        ProcessId { pid, start_time: guest_process::start_time(pid).unwrap() }
    }

    #[test]
    fn a_later_process_with_the_same_number_gets_no_signal() {
        let process = this_process();
        send(process, 0).unwrap();
        let other = ProcessId { start_time: process.start_time + 1, ..process };
        assert_eq!(send(other, 0).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(hold(other).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn signals_that_do_not_exist_are_refused() {
        assert_eq!(send(this_process(), 999).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
