//! Starting what a channel asks for: root's shell, alone or with a command.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;

use guest_process::{AsyncDescriptor, Command, TerminalSize, open_terminal};
use rustix::pipe::PipeFlags;
use tokio::net::unix::pipe;

const SHELL: &str = "/bin/sh";
const HOME: &str = "/root";
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What to start.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// `None` is a login shell.
    pub(crate) command: Option<Vec<u8>>,
    pub(crate) terminal: Option<TerminalSize>,
    pub(crate) env: Vec<(String, String)>,
}

/// What runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) streams: Streams,
}

/// Our ends of its streams.
#[derive(Debug)]
pub(crate) enum Streams {
    Terminal(AsyncDescriptor),
    Pipes { stdin: pipe::Sender, stdout: pipe::Receiver, stderr: pipe::Receiver },
}

/// A child that is reaped when it is waited for.
#[derive(Debug)]
pub(crate) struct Child {
    pid: i32,
    ended: AsyncDescriptor,
    status: OnceLock<i32>,
}

impl Child {
    /// Its raw status; may be asked for again.
    pub(crate) async fn wait(&self) -> io::Result<i32> {
        loop {
            if let Some(status) = self.status.get() {
                return Ok(*status);
            }
            self.ended.readable().await?;
            if let Some(status) = guest_process::reap(self.pid)? {
                return Ok(*self.status.get_or_init(|| status));
            }
        }
    }

    /// Sends a signal to it and its group, which is its whole session's first one.
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) -> io::Result<()> {
        Ok(nix::sys::signal::killpg(nix::unistd::Pid::from_raw(self.pid), signal)?)
    }
}

pub(crate) fn start(request: &Request) -> io::Result<Running> {
    let args = match &request.command {
        // The dash makes it a login shell.
        None => vec![OsString::from("-sh")],
        Some(command) => {
            vec!["sh".into(), "-c".into(), OsString::from_vec(command.clone())]
        }
    };
    let mut command = Command::new(SHELL)
        .args(args)
        .current_dir(HOME)
        // The daemon's own score would protect everything that is started from here.
        .oom_score_adj(0);
    // Each once: what programs make of two differs.
    let mut variables = BTreeMap::from([
        ("PATH", SEARCH_PATH),
        ("HOME", HOME),
        ("USER", "root"),
        ("LOGNAME", "root"),
        ("SHELL", SHELL),
    ]);
    variables.extend(request.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    for (name, value) in variables {
        command = command.env(name, value);
    }
    let (child, streams) = match request.terminal {
        Some(size) => with_terminal(command, size)?,
        None => with_pipes(command)?,
    };
    let child = Child {
        pid: child.pid,
        ended: AsyncDescriptor::of_event(child.pidfd)?,
        status: OnceLock::new(),
    };
    Ok(Running { child, streams })
}

fn with_terminal(
    command: Command,
    size: TerminalSize,
) -> io::Result<(guest_process::Child, Streams)> {
    let terminal = open_terminal(size)?;
    let child = command.controlling_terminal(&terminal.path).spawn()?;
    Ok((child, Streams::Terminal(AsyncDescriptor::new(terminal.master)?)))
}

fn with_pipes(command: Command) -> io::Result<(guest_process::Child, Streams)> {
    let (stdin_reader, stdin) = new_pipe()?;
    let (stdout, stdout_writer) = new_pipe()?;
    let (stderr, stderr_writer) = new_pipe()?;
    let child = command
        .new_session()
        .descriptor(stdin_reader, 0)
        .descriptor(stdout_writer, 1)
        .descriptor(stderr_writer, 2)
        .spawn()?;
    let streams = Streams::Pipes {
        stdin: pipe::Sender::from_owned_fd(stdin)?,
        stdout: pipe::Receiver::from_owned_fd(stdout)?,
        stderr: pipe::Receiver::from_owned_fd(stderr)?,
    };
    Ok((child, streams))
}

fn new_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?)
}
