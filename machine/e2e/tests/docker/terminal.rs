//! Containers with a terminal, through `script`, which gives the docker command one.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use machine_e2e::{Check, Run, command, eventually};

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("a_terminal_is_a_terminal", is_terminal),
    ("control_c_interrupts", interrupt),
    ("detach_keys_leave_it_running", detach),
    ("the_size_follows_the_window", resize),
    ("exec_gets_a_terminal_too", exec),
];

/// A docker command with a terminal.
struct Session {
    child: Child,
    stdin: ChildStdin,
    screen: Arc<Mutex<String>>,
}

impl Session {
    fn start(mut docker: Command) -> Result<Self> {
        let line = command::quoted(&docker);
        let mut script = Command::new("script");
        script.args(["-qefc", &line, "/dev/null"]);
        for (name, value) in docker.env("TERM", "xterm").get_envs() {
            if let Some(value) = value {
                script.env(name, value);
            }
        }
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut output, shared) = (child.stdout.take().context("no output")?, Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if let Ok(mut screen) = shared.lock() {
                    screen.push_str(&String::from_utf8_lossy(&buffer[..count]));
                }
            }
        });
        let stdin = child.stdin.take().context("no input")?;
        Ok(Self { child, stdin, screen })
    }

    fn types(&mut self, text: &str) -> Result<()> {
        self.stdin.write_all(text.as_bytes())?;
        Ok(self.stdin.flush()?)
    }

    fn screen(&self) -> String {
        self.screen.lock().map(|screen| screen.clone()).unwrap_or_default()
    }

    fn shows(&self, text: &str) -> Result<()> {
        let seen =
            eventually(&format!("the screen shows {text}"), || Ok(self.screen().contains(text)));
        seen.with_context(|| self.screen())
    }

    fn code(mut self) -> Result<i32> {
        let code = command::wait(&mut self.child, "a docker command with a terminal");
        drop(self.stdin);
        code.with_context(|| self.screen.lock().map(|screen| screen.clone()).unwrap_or_default())
    }

    /// The terminal that `script` gave to the docker command.
    fn terminal(&self) -> Result<std::path::PathBuf> {
        let pid = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let child = children.split_whitespace().next().context("no child")?.to_owned();
        Ok(std::fs::read_link(format!("/proc/{child}/fd/0"))?)
    }
}

fn is_terminal(on: &Fixture) -> Result<()> {
    let session = Session::start(on.docker(["run", "--rm", "-it", "busybox", "tty"]))?;
    session.shows("/dev/pts/0")?;
    ensure!(session.code()? == 0);
    Ok(())
}

fn interrupt(on: &Fixture) -> Result<()> {
    // The first process of a container only gets the signals it handles.
    let script = "trap 'exit 5' INT; echo rea''dy; while :; do sleep 0.1; done";
    let words = ["run", "--rm", "-it", "busybox", "sh", "-c"];
    let mut docker = on.docker(words);
    docker.arg(script);
    let mut session = Session::start(docker)?;
    session.shows("ready")?;
    session.types("\u{3}")?;
    ensure!(session.code()? == 5);
    Ok(())
}

fn detach(on: &Fixture) -> Result<()> {
    let words = ["run", "-it", "--name", "detached", "busybox", "sh"];
    let mut session = Session::start(on.docker(words))?;
    session.types("echo $((40+2))\n")?;
    session.shows("42")?;
    session.types("\u{10}\u{11}")?;
    ensure!(session.code()? == 0);
    ensure!(on.inspect("detached")?["State"]["Running"] == true);
    let mut session = Session::start(on.docker(["attach", "detached"]))?;
    session.types("exit 8\n")?;
    ensure!(session.code()? == 8);
    on.text(&["rm", "detached"]).map(drop)
}

fn resize(on: &Fixture) -> Result<()> {
    let script = "echo rea''dy; until [ \"$(stty size)\" = '41 133' ]; do sleep 0.1; done; exit 6";
    let session = Session::start(on.docker(["run", "--rm", "-it", "busybox", "sh", "-c", script]))?;
    session.shows("ready")?;
    let terminal = std::fs::File::open(session.terminal()?)?;
    Command::new("stty").args(["rows", "41", "cols", "133"]).stdin(terminal).status()?;
    ensure!(session.code()? == 6);
    Ok(())
}

fn exec(on: &Fixture) -> Result<()> {
    on.text(&["run", "-d", "--name", "host-of-exec", "busybox", "sleep", "1000"])?;
    let mut session = Session::start(on.docker(["exec", "-it", "host-of-exec", "sh"]))?;
    session.types("tty; exit 4\n")?;
    session.shows("/dev/pts/")?;
    ensure!(session.code()? == 4);
    on.docker(["rm", "-f", "host-of-exec"]).run()?.ok()
}
