//! One fork that does it all: into a cgroup, into new namespaces, and past the process that forks,
//! so that whoever started that one (PID 1) is the new one's parent.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

/// The kernel's `struct clone_args`.
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Which of the two processes this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// With the other's pid.
    Old(i32),
    New,
}

/// Forks a sibling in the new namespaces that `namespaces` names (`CLONE_NEW…`), in a cgroup or in
/// that of this process.
///
/// Writing to `cgroup.procs` would be slower: the kernel stops every fork of the guest meanwhile,
/// and waits for a grace period.
#[expect(unsafe_code, reason = "clone3(2) has no safe wrapper")]
pub(crate) fn clone_sibling(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Side> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let into = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
    let flags = namespaces | into | u64::from(libc::CLONE_PARENT.cast_unsigned());
    let arguments = CloneArguments {
        flags,
        // With CLONE_PARENT the signal at the end is that of the forking process.
        exit_signal: 0,
        cgroup: cgroup.map_or(0, |cgroup| u64::from(cgroup.as_raw_fd().cast_unsigned())),
        ..CloneArguments::default()
    };
    // SAFETY: this process has one thread and shares no memory with the new one, which goes on
    // with a copy of everything, as after fork(2). The arguments live until the call returns.
    let result =
        unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of_val(&arguments)) };
    match result {
        0 => Ok(Side::New),
        pid if pid > 0 => Ok(Side::Old(i32::try_from(pid).map_err(io::Error::other)?)),
        _ => Err(io::Error::last_os_error()),
    }
}
