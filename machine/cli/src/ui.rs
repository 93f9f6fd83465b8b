//! The only place that prints. Results go to stdout, everything else to stderr.

use std::io::{IsTerminal as _, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use machine_lifecycle::driver::Progress;

use crate::error::CommandError;

type Sink = Arc<Mutex<dyn Write + Send>>;

/// Where output goes.
#[derive(Clone)]
pub struct Ui {
    out: Sink,
    err: Sink,
    /// Moving lines at the end of a terminal; plain lines without one.
    bars: Option<MultiProgress>,
    /// Whether there is somebody to ask.
    asks: bool,
}

impl Ui {
    /// The process's own streams.
    pub fn of_process() -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self {
            out: Arc::new(Mutex::new(std::io::stdout())),
            err: Arc::new(Mutex::new(std::io::stderr())),
            bars,
            asks: true,
        }
    }

    /// Streams that are looked at afterwards.
    pub fn of_sinks(out: Arc<Mutex<dyn Write + Send>>, err: Arc<Mutex<dyn Write + Send>>) -> Self {
        Self { out, err, bars: None, asks: false }
    }

    /// What the user asked for.
    pub(crate) fn result(&self, line: &str) {
        self.above_bars(|| print(&self.out, &format!("{line}\n")));
    }

    /// Bytes of which this program knows nothing.
    pub(crate) fn raw_result(&self, bytes: &[u8]) -> std::io::Result<()> {
        write(&self.out, bytes)
    }

    /// The other stream of a remote command.
    pub(crate) fn raw_note(&self, bytes: &[u8]) -> std::io::Result<()> {
        write(&self.err, bytes)
    }

    /// What the user should know besides.
    pub(crate) fn note(&self, line: &str) {
        self.above_bars(|| print(&self.err, &format!("{line}\n")));
    }

    /// Asks on stderr; the answer is the first line of stdin, `None` if there is none.
    pub(crate) fn ask(&self, question: &str) -> Option<String> {
        print(&self.err, question);
        if !self.asks {
            return None;
        }
        let mut answer = String::new();
        let length = std::io::stdin().read_line(&mut answer).unwrap_or_default();
        (length > 0).then_some(answer)
    }

    /// A command line that was not understood, or help that was asked for.
    pub(crate) fn usage(&self, error: &clap::Error) -> u8 {
        let text = error.render().to_string();
        if error.use_stderr() {
            print(&self.err, &text);
            2
        } else {
            print(&self.out, &text);
            0
        }
    }

    pub(crate) fn failure(&self, error: &CommandError) {
        let mut text = format!("error: {}\n", error.message);
        for cause in &error.causes {
            text.push_str(&format!("  because: {cause}\n"));
        }
        if !error.console.is_empty() {
            text.push_str("  the console's last lines:\n");
            for line in &error.console {
                text.push_str(&format!("    | {}\n", printable(line)));
            }
        }
        if let Some(hint) = &error.hint {
            text.push_str(&format!("  hint: {hint}\n"));
        }
        self.above_bars(|| print(&self.err, &text));
    }

    /// For failures before anything else works.
    pub fn no_start(&self, what: &str, cause: &std::io::Error) -> ExitCode {
        self.failure(&CommandError::failed(what).because(cause));
        ExitCode::FAILURE
    }

    /// Shows what happens to one machine.
    pub(crate) fn progress(&self, machine: &str) -> Steps {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner().with_style(style()));
            bar.set_prefix(format!("({machine})"));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Steps { ui: self.clone(), machine: machine.to_owned(), bar }
    }

    fn above_bars(&self, print: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }
}

/// The progress of one machine; its line on a terminal goes when it is dropped.
pub(crate) struct Steps {
    ui: Ui,
    machine: String,
    bar: Option<ProgressBar>,
}

impl Progress for Steps {
    fn step(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => self.ui.note(&format!("({}) {text}", self.machine)),
        }
    }

    fn warning(&self, text: &str) {
        self.ui.note(&format!("warning: ({}) {text}", self.machine));
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {prefix} {wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// A reader that has gone away is no failure of ours.
fn print(sink: &Sink, text: &str) {
    let _reader_gone = write(sink, text.as_bytes());
}

fn write(sink: &Sink, bytes: &[u8]) -> std::io::Result<()> {
    let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
    sink.write_all(bytes).and_then(|()| sink.flush())
}

/// A guest must not be able to play with the user's terminal.
fn printable(line: &str) -> String {
    line.chars().filter(|c| !c.is_control() || *c == '\t').collect()
}

impl std::fmt::Debug for Ui {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ui").finish_non_exhaustive()
    }
}
