//! The starter: this program once more, without threads, which forks what becomes the processes of
//! containers.
//!
//! It waits for orders as long as the daemon lives. Starting a program of this size anew for every
//! process costs more than all the rest.
//!
//! **Invariant:** no thread is ever started here; forking and joining namespaces need that.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use nix::libc;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::unistd::{ForkResult, fork, setsid};
use rustix::fs::{FileType, Mode, OFlags, fstat};

use crate::channel::{self, Answer, Order, Task};
use crate::clone::{Side, clone_sibling};
use crate::process::Origin;
use crate::program::{close_others, end};
use crate::{create, exec};

/// The body of `PROGRAM runtime`, with a socket for orders as its standard input. To be called
/// before any thread is started.
pub fn role_main(_args: impl Iterator<Item = OsString>) -> ExitCode {
    match orphan() {
        // Whoever started this waits for its end only.
        Ok(ForkResult::Parent { .. }) => ExitCode::SUCCESS,
        Ok(ForkResult::Child) => match serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(_) => ExitCode::FAILURE,
    }
}

/// Becomes a child of PID 1, whose children its siblings will be.
#[expect(unsafe_code, reason = "fork(2) is unsafe where there are threads")]
fn orphan() -> nix::Result<ForkResult> {
    // SAFETY: this process has one thread.
    unsafe { fork() }
}

fn serve() -> io::Result<()> {
    // Nothing else is open yet that is ours; what came from elsewhere is not for containers.
    close_others()?;
    let socket = take_standard_input()?;
    setsid()?;
    prctl::set_name(c"starter")?;
    // Its copies are visible in containers for a moment and must not be looked into.
    prctl::set_dumpable(false)?;
    let origin = Origin::here()?;
    loop {
        let Ok((order, descriptors)) = channel::receive::<Order>(&socket) else {
            // The daemon has ended.
            return Ok(());
        };
        let mut descriptors = descriptors.into_iter();
        let (Some(conversation), Some(cgroup)) = (descriptors.next(), descriptors.next()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        match fork_one(&origin, &order, &cgroup, descriptors.next())? {
            Ok(Side::Old(_)) => {}
            Ok(Side::New) => {
                drop((socket, cgroup));
                converse(origin, order.task, conversation)
            }
            // If the daemon does not listen any more, nobody needs to know.
            Err(answer) => drop(channel::send(conversation.as_fd(), &answer, &[])),
        }
    }
}

/// Forks, in the pid namespace of `container` if there is one. The outer error is the end of this
/// process: it would go on forking into a container.
fn fork_one(
    origin: &Origin,
    order: &Order,
    cgroup: &OwnedFd,
    container: Option<OwnedFd>,
) -> io::Result<Result<Side, Answer>> {
    let gone = || Answer::Refused("the container is not running".to_owned());
    let Some(container) = container else {
        let forked = clone_sibling(order.namespaces, Some(cgroup.as_fd()));
        return Ok(forked.map_err(|error| Answer::Failed(format!("cannot fork: {error}"))));
    };
    if setns(&container, CloneFlags::CLONE_NEWPID).is_err() {
        return Ok(Err(gone()));
    }
    let forked = clone_sibling(order.namespaces, Some(cgroup.as_fd())).map_err(|error| {
        match error.raw_os_error() {
            // Without its first process a pid namespace takes no others.
            Some(libc::ENOMEM) => gone(),
            _ => Answer::Failed(format!("cannot fork: {error}")),
        }
    });
    if forked != Ok(Side::New) {
        setns(&origin.pid_namespace, CloneFlags::CLONE_NEWPID)?;
    }
    Ok(forked)
}

/// The new process: reads what it is to become, and becomes it.
fn converse(origin: Origin, task: Task, conversation: OwnedFd) -> ! {
    // The container must not be able to reach the daemon's keys through an inherited keyring.
    join_new_keyring();
    match task {
        Task::Create => {
            if let Ok((request, descriptors)) = channel::receive(&conversation) {
                create::create(origin, request, descriptors, conversation);
            }
        }
        Task::Wait => {
            if let Ok(((), _)) = channel::receive(&conversation)
                && let Ok(answer) = origin.answer()
                && channel::send(conversation.as_fd(), &answer, &[]).is_ok()
            {
                rustix::io::read(&conversation, &mut [0]).ok();
            }
        }
        Task::Exec => {
            if let Ok((request, descriptors)) = channel::receive(&conversation) {
                exec::exec(origin, request, descriptors, conversation);
            }
        }
    }
    end(255)
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
