//! The helper's side: this program started again, for one task.
//!
//! **Invariant:** no thread is ever started here; forking and joining mount namespaces need that.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use nix::libc;
use rustix::fs::{FileType, Mode, OFlags, fstat};

use crate::channel::{self, Answer};
use crate::starter::Task;
use crate::{create, exec};

/// The body of `PROGRAM runtime TASK`; `args` are those after `runtime`. To be called before any
/// thread is started.
pub fn role_main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let task = args.next();
    let done = match task.as_deref().and_then(|name| name.to_str()) {
        Some(name) if name == Task::Create.name() => serve(create::create),
        Some(name) if name == Task::Exec.name() => serve(exec::exec),
        _ => return ExitCode::from(2),
    };
    // Whoever started this sees that there was no answer.
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn serve<T: serde::de::DeserializeOwned>(
    task: fn(T, Vec<OwnedFd>) -> (Answer, Option<OwnedFd>),
) -> io::Result<()> {
    let socket = take_standard_input()?;
    // The container must not be able to reach the daemon's keys through an inherited keyring.
    join_new_keyring();
    let (request, descriptors) = channel::receive(&socket)?;
    let (answer, terminal) = task(request, descriptors);
    let terminal: Vec<_> = terminal.iter().map(AsFd::as_fd).collect();
    channel::send(socket.as_fd(), &answer, &terminal)
}

/// Moves the socket away from descriptor 0, where a container would inherit it.
fn take_standard_input() -> io::Result<OwnedFd> {
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    Ok(socket)
}

#[expect(unsafe_code, reason = "keyctl(2) has no safe wrapper")]
fn join_new_keyring() {
    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: with a null name the call takes no pointers. A kernel without keyrings refuses,
    // which is just as good.
    unsafe {
        libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>());
    }
}

/// Makes the pipes among these the user's, who could not open /dev/stdout otherwise.
pub(crate) fn give_pipes(descriptors: &[OwnedFd], uid: u32) -> io::Result<()> {
    for descriptor in descriptors {
        if FileType::from_raw_mode(fstat(descriptor)?.st_mode) == FileType::Fifo {
            rustix::fs::fchown(descriptor, Some(rustix::fs::Uid::from_raw(uid)), None)?;
        }
    }
    Ok(())
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
