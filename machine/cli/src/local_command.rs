//! Commands of this computer, run with the environment of a machine.

use std::io::ErrorKind;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus};

use machine_lifecycle::{Connection, MachineName};
use rustix::process::{Pid, Signal, getpgrp, kill_process};
use rustix::termios::tcgetpgrp;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::CommandError;

/// As shells answer when there is no such command.
const NOT_FOUND: u8 = 127;
/// As shells answer when the command is there but cannot be run.
const NOT_RUNNABLE: u8 = 126;

/// A command that was not run, and the status that tells it.
pub(crate) struct NotRun {
    pub(crate) error: CommandError,
    pub(crate) status: u8,
}

/// The command, so that the `docker` it may run talks to the machine.
pub(crate) fn command(words: &[String], name: &MachineName, connection: &Connection) -> Command {
    let (program, arguments) = words.split_first().map_or(("", &[][..]), |(p, a)| (p.as_str(), a));
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("DOCKER_TLS_VERIFY", "1")
        .env("DOCKER_HOST", &connection.url)
        .env("DOCKER_CERT_PATH", &connection.directory)
        .env("DOCKER_MACHINE_NAME", name.as_str())
        // It would win over DOCKER_HOST.
        .env_remove("DOCKER_CONTEXT");
    command
}

/// Becomes the command; comes back only if that is not possible.
pub(crate) fn become_it(mut command: Command) -> NotRun {
    let error = command.exec();
    not_run(&command, &error)
}

/// Runs the command to its end and passes on what this process is told meanwhile.
pub(crate) async fn run(command: Command, signals: &mut Signals) -> Result<u8, NotRun> {
    let mut command = tokio::process::Command::from(command);
    let mut child = command.spawn().map_err(|error| not_run(command.as_std(), &error))?;
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status.map_err(|error| not_run(command.as_std(), &error))?;
                return Ok(code(status));
            }
            signal = signals.next() => {
                // What is typed at a terminal goes to all that runs there, the command too.
                if let Some(pid) = pid
                    && !(signal == Signal::INT && has_the_terminal())
                {
                    // It may have ended just now.
                    let _gone = kill_process(pid, signal);
                }
            }
        }
    }
}

/// The signals that ask a command to end, caught as long as this lives.
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    pub(crate) fn catch() -> Result<Self, CommandError> {
        let catch = |kind| {
            signal(kind)
                .map_err(|error| CommandError::failed("signals cannot be received").because(&error))
        };
        Ok(Self {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
            hangup: catch(SignalKind::hangup())?,
        })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hangup.recv() => Signal::HUP,
        }
    }
}

/// As shells tell it: 128 and the number of the signal that ended it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn has_the_terminal() -> bool {
    std::fs::File::open("/dev/tty")
        .is_ok_and(|terminal| tcgetpgrp(&terminal).is_ok_and(|group| group == getpgrp()))
}

fn not_run(command: &Command, error: &std::io::Error) -> NotRun {
    let program = command.get_program().to_string_lossy();
    let failure = CommandError::failed(format!("{} could not be run", program.escape_debug()));
    if error.kind() == ErrorKind::NotFound {
        NotRun {
            error: failure.because(error).hint("is it installed, and its directory in PATH?"),
            status: NOT_FOUND,
        }
    } else {
        NotRun { error: failure.because(error), status: NOT_RUNNABLE }
    }
}
