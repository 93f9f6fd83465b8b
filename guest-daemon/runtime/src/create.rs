//! The helper's task of making a container, with libcontainer.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::syscall::syscall::SyscallType;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::channel::{Answer, CreateRequest};
use crate::failures::Failures;
use crate::payload::Payload;
use crate::role::chain;

/// Builds the container up to the point where its first process waits for the start. That process
/// becomes init's child when this one ends.
pub(crate) fn create(request: CreateRequest, streams: Vec<OwnedFd>) -> (Answer, Option<OwnedFd>) {
    match try_create(&request, streams) {
        Ok((answer, terminal)) => (answer, terminal),
        Err(error) => (Answer::Failed(error.to_string()), None),
    }
}

fn try_create(
    request: &CreateRequest,
    streams: Vec<OwnedFd>,
) -> io::Result<(Answer, Option<OwnedFd>)> {
    let failures = Failures::collect()?;
    let (reports, report) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let console = request.bundle.join("tty");
    let listener = match request.terminal {
        true => Some(UnixListener::bind(&console)?),
        false => None,
    };
    let payload = Payload { report: Arc::new(report) };
    let container =
        match build(request, streams, listener.is_some().then_some(console.as_path()), payload) {
            Ok(container) => container,
            Err(error) => return Ok((explain(&reports, &failures, &error), None)),
        };
    let pid =
        container.pid().ok_or_else(|| io::Error::other("the container has no process"))?.as_raw();
    let terminal = match &listener {
        Some(listener) => Some(receive_terminal(listener)?),
        None => None,
    };
    Ok((Answer::Running { pid, start_time: guest_process::start_time(pid)? }, terminal))
}

fn build(
    request: &CreateRequest,
    streams: Vec<OwnedFd>,
    console: Option<&Path>,
    payload: Payload,
) -> Result<Container, LibcontainerError> {
    let mut builder = ContainerBuilder::new(request.id.clone(), SyscallType::default())
        .with_root_path(&request.root)?
        .with_executor(payload)
        .with_console_socket(console);
    let mut streams = streams.into_iter();
    if let (Some(stdin), Some(stdout), Some(stderr)) =
        (streams.next(), streams.next(), streams.next())
    {
        builder = builder.with_stdin(stdin).with_stdout(stdout).with_stderr(stderr);
    }
    builder.as_init(&request.bundle).with_systemd(false).with_detach(true).build()
}

/// What the process itself reported is the user's mistake, everything else is not.
fn explain(reports: &OwnedFd, failures: &Failures, error: &LibcontainerError) -> Answer {
    let mut buffer = [0; 4096];
    match rustix::io::read(reports, &mut buffer) {
        Ok(length) if length > 0 => {
            Answer::Refused(String::from_utf8_lossy(&buffer[..length]).into_owned())
        }
        _ => Answer::Failed(failures.first().unwrap_or_else(|| chain(error))),
    }
}

/// Takes the terminal that the container has made. Its process connected before it was forked, so
/// this does not wait.
fn receive_terminal(listener: &UnixListener) -> io::Result<OwnedFd> {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let (connection, _) = listener.accept()?;
    let mut name = [0; 64];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    recvmsg(
        connection.as_fd(),
        &mut [io::IoSliceMut::new(&mut name)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    ancillary
        .drain()
        .find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        })
        .ok_or_else(|| io::Error::other("the container sent no terminal"))
}
