//! The few programs that fake containers can run.

use std::sync::Arc;

use tokio::sync::watch;

use super::pipes::FakePipe;
use crate::error::{Error, Result};
use crate::ports::ExitStatus;

/// A process and everything it is connected to.
#[derive(Debug)]
pub(super) struct FakeProcess {
    pub stdin: FakePipe,
    pub stdout: FakePipe,
    pub stderr: FakePipe,
    pub tty: bool,
    pub open_stdin: bool,
    /// Set once it has ended.
    pub ended: watch::Sender<Option<ExitStatus>>,
    /// Whether SIGTERM and the like do nothing.
    pub stubborn: bool,
}

/// What a command line means; decided before anything runs, as exec does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Print {
        stdout: String,
        stderr: String,
        code: i32,
    },
    /// Copies its input to its output.
    Cat,
    /// Runs until a signal ends it.
    Sleep,
    /// Runs until SIGKILL ends it.
    Stubborn,
}

/// Understands `true`, `false`, `echo …`, `cat`, `sleep …`, `stubborn`, `sh` (as `cat`) and
/// `sh -c SCRIPT` with the commands `echo … [>&2]`, `exit N` and those above between `;`.
pub(super) fn parse(args: &[String]) -> Result<Program> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["sh" | "/bin/sh", "-c", script, ..] => parse_script(script),
        ["sh" | "/bin/sh" | "cat", ..] => Ok(Program::Cat),
        ["true", ..] => Ok(print("", "", 0)),
        ["false", ..] => Ok(print("", "", 1)),
        ["echo", rest @ ..] => Ok(print(&format!("{}\n", rest.join(" ")), "", 0)),
        ["sleep" | "httpd", ..] => Ok(Program::Sleep),
        ["stubborn", ..] => Ok(Program::Stubborn),
        ["/etc/passwd", ..] => Err(Error::invalid("exec: \"/etc/passwd\": permission denied")),
        [name, ..] => {
            Err(Error::invalid(format!("exec: \"{name}\": executable file not found in $PATH")))
        }
        [] => Err(Error::invalid("no command specified")),
    }
}

fn parse_script(script: &str) -> Result<Program> {
    let (mut stdout, mut stderr, mut code) = (String::new(), String::new(), 0);
    for command in script.split(';').map(str::trim).filter(|command| !command.is_empty()) {
        let words: Vec<String> = command.split_whitespace().map(String::from).collect();
        match words.first().map(String::as_str) {
            Some("exit") => {
                code = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(0);
                break;
            }
            Some("echo") if command.ends_with(">&2") => {
                stderr += &format!("{}\n", words[1..words.len() - 1].join(" "));
            }
            _ => match parse(&words) {
                Ok(Program::Print { stdout: text, code: own, .. }) => {
                    stdout += &text;
                    code = own;
                }
                Ok(endless) if stdout.is_empty() && stderr.is_empty() => return Ok(endless),
                Ok(_) => return Err(Error::invalid("the fake shell cannot print and then run")),
                Err(_) => code = 127,
            },
        }
    }
    Ok(print(&stdout, &stderr, code))
}

fn print(stdout: &str, stderr: &str, code: i32) -> Program {
    Program::Print { stdout: stdout.into(), stderr: stderr.into(), code }
}

impl FakeProcess {
    /// Runs the program to its end.
    pub(super) async fn run(self: Arc<Self>, program: Program, started: i128) {
        match program {
            Program::Print { stdout, stderr, code } => {
                self.stdout.write(stdout.as_bytes());
                if self.tty { &self.stdout } else { &self.stderr }.write(stderr.as_bytes());
                self.end(code, started);
            }
            Program::Cat => {
                if self.open_stdin {
                    let mut ended = self.ended.subscribe();
                    loop {
                        tokio::select! {
                            _ = ended.wait_for(Option::is_some) => return,
                            data = self.stdin.take() => match data {
                                Some(data) => self.stdout.write(&data),
                                None => break,
                            },
                        }
                    }
                }
                self.end(0, started);
            }
            Program::Sleep | Program::Stubborn => {}
        }
    }

    pub(super) fn end(&self, code: i32, unix_nanos: i128) {
        self.ended.send_if_modified(|ended| {
            if ended.is_some() {
                return false;
            }
            *ended = Some(ExitStatus { code, oom_killed: false, unix_nanos });
            true
        });
        self.stdin.close_writer();
        self.stdout.close_writer();
        self.stderr.close_writer();
    }

    pub(super) fn signal(&self, signal: i32, now: i128) {
        const HARMLESS: [i32; 4] = [17, 18, 23, 28];
        if signal == 9 || (!self.stubborn && !HARMLESS.contains(&signal)) {
            self.end(128 + signal, now);
        }
    }
}
