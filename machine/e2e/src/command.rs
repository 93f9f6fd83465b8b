//! Running programs and looking at what they did.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// No command of a test may take longer.
const LIMIT: Duration = Duration::from_secs(120);

/// A program that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// For messages.
    pub shown: String,
    /// The exit code; 128 and more for signals.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// Standard output without its last newline; fails unless the program succeeded.
    pub fn text(&self) -> Result<String> {
        ensure!(self.code == 0, "{self}");
        Ok(self.stdout.trim_end_matches('\n').to_owned())
    }

    /// Fails unless the program succeeded.
    pub fn ok(&self) -> Result<()> {
        self.text().map(drop)
    }

    /// Fails unless the program ended with this code.
    pub fn code(&self, wanted: i32) -> Result<&Self> {
        ensure!(self.code == wanted, "wanted exit code {wanted}: {self}");
        Ok(self)
    }

    /// Fails unless standard error has this text.
    pub fn says(&self, wanted: &str) -> Result<&Self> {
        ensure!(self.stderr.contains(wanted), "wanted on standard error: {wanted}\n{self}");
        Ok(self)
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` ended with {}\n--- stdout\n{}\n--- stderr\n{}",
            self.shown, self.code, self.stdout, self.stderr
        )
    }
}

/// Ways to run a prepared command.
pub trait Run {
    /// To its end, with nothing on standard input.
    fn run(&mut self) -> Result<Finished>;
    /// To its end, with these bytes on standard input.
    fn run_with(&mut self, input: &[u8]) -> Result<Finished>;
}

impl Run for Command {
    fn run(&mut self) -> Result<Finished> {
        self.stdin(Stdio::null());
        finish(self, None)
    }

    fn run_with(&mut self, input: &[u8]) -> Result<Finished> {
        self.stdin(Stdio::piped());
        finish(self, Some(input.to_vec()))
    }
}

fn finish(command: &mut Command, input: Option<Vec<u8>>) -> Result<Finished> {
    let shown = shown(command);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {shown}"))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // A program that ends early closes its input; its exit code tells more than our error.
        std::thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
    let code = wait(&mut child, &shown)?;
    let text = |reader: Option<std::thread::JoinHandle<Vec<u8>>>| {
        let bytes = reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(Finished { shown, code, stdout: text(stdout), stderr: text(stderr) })
}

fn collect(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        drop(from.read_to_end(&mut bytes));
        bytes
    })
}

/// Waits for the end of a child, not for ever.
pub fn wait(child: &mut Child, shown: &str) -> Result<i32> {
    use std::os::unix::process::ExitStatusExt;
    let begun = Instant::now();
    let pid = rustix::process::Pid::from_child(child);
    let descriptor = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
    let mut waited = [rustix::event::PollFd::new(&descriptor, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: LIMIT.as_secs().cast_signed(), tv_nsec: 0 };
    rustix::event::poll(&mut waited, Some(&limit))?;
    let Some(status) = child.try_wait()? else {
        child.kill()?;
        child.wait()?;
        bail!("{shown} did not end within {} s", begun.elapsed().as_secs());
    };
    Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

/// A command as one would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// A command as a shell takes it.
pub fn quoted(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quote =
        |word: &std::ffi::OsStr| format!("'{}'", word.to_string_lossy().replace('\'', "'\\''"));
    words.map(quote).collect::<Vec<_>>().join(" ")
}
