//! The only place that prints. Results go to stdout, everything else to stderr.

use std::io::{IsTerminal as _, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use machine_lifecycle::driver::Progress;

use crate::error::{CommandError, Manner};

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
    manner: Manner,
    /// docker-machine announced on stdout what it was about to do.
    announces_on_stdout: bool,
    /// Since when, if what happens is to be told.
    debugs_since: Option<Instant>,
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
            manner: Manner::Machine,
            announces_on_stdout: false,
            debugs_since: None,
        }
    }

    /// Streams that are looked at afterwards.
    pub fn of_sinks(out: Arc<Mutex<dyn Write + Send>>, err: Arc<Mutex<dyn Write + Send>>) -> Self {
        Self {
            out,
            err,
            bars: None,
            asks: false,
            manner: Manner::Machine,
            announces_on_stdout: false,
            debugs_since: None,
        }
    }

    pub(crate) fn in_manner_of(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }

    /// What a command is about to do is told on stdout.
    pub(crate) fn announcing_on_stdout(mut self) -> Self {
        self.announces_on_stdout = true;
        if !std::io::stdout().is_terminal() {
            self.bars = None;
        }
        self
    }

    pub(crate) fn debugging(mut self) -> Self {
        self.debugs_since = Some(Instant::now());
        self
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

    /// What a command is about to do, or has done.
    pub(crate) fn announce(&self, line: &str) {
        let sink = if self.announces_on_stdout { &self.out } else { &self.err };
        self.above_bars(|| print(sink, &format!("{line}\n")));
    }

    /// For whoever looks for a mistake of this program.
    pub(crate) fn debug(&self, text: &str) {
        if let Some(since) = self.debugs_since {
            let milliseconds = since.elapsed().as_millis();
            self.note(&format!("DBG {milliseconds:>6} ms | {}", printable(text)));
        }
    }

    /// Whether somebody looks at what is printed, at a terminal.
    pub(crate) fn is_watched(&self) -> bool {
        self.asks && std::io::stdout().is_terminal()
    }

    /// Whether nobody reads what is printed any more.
    pub(crate) fn is_unread(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let stdout = std::io::stdout();
        let mut stdout = [PollFd::new(&stdout, PollFlags::empty())];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let [stdout] = match poll(&mut stdout, Some(&at_once)) {
            Ok(_) => stdout,
            Err(_) => return false,
        };
        stdout.revents().intersects(PollFlags::ERR | PollFlags::HUP)
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
            CommandError::usage("").code_in(self.manner)
        } else {
            print(&self.out, &text);
            0
        }
    }

    pub(crate) fn failure(&self, error: &CommandError) {
        let (mut text, causes) = match (self.manner, &error.original) {
            (Manner::Machine, _) => (format!("error: {}\n", error.message), &error.causes[..]),
            // It is all in there.
            (Manner::DockerMachine, Some(original)) => (format!("{original}\n"), &[][..]),
            (Manner::DockerMachine, None) => (format!("{}\n", error.message), &error.causes[..]),
        };
        for cause in causes {
            text.push_str(&format!("  because: {cause}\n"));
        }
        if !error.console.is_empty() {
            text.push_str("  the console's last lines:\n");
            for line in &error.console {
                text.push_str(&format!("    | {}\n", printable(line)));
            }
        }
        if let Some(hint) = &error.hint {
            let hint = match self.manner {
                Manner::Machine => hint.clone(),
                Manner::DockerMachine => called(hint, "docker-machine"),
            };
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

impl Steps {
    /// A line that stays, without the machine's name before it: it is in it.
    pub(crate) fn announce(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(line.to_owned()),
            None => self.ui.announce(line),
        }
    }
}

impl Progress for Steps {
    fn step(&self, text: &str) {
        self.ui.debug(&format!("({}) {text}", self.machine));
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None if self.ui.manner == Manner::DockerMachine => {
                self.ui.announce(&original(text, &self.machine));
            }
            None => self.ui.announce(&format!("({}) {text}", self.machine)),
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

/// A hint with the commands in it called as the user calls this program.
fn called(hint: &str, program: &str) -> String {
    ["`", ": ", "(", "to "].iter().fold(hint.to_owned(), |hint, before| {
        hint.replace(&format!("{before}machine "), &format!("{before}{program} "))
    })
}

/// A step as docker-machine told it. What was no news of the VM stood there without its name.
fn original(step: &str, machine: &str) -> String {
    match step {
        "starting QEMU" => format!("({machine}) Starting the VM..."),
        "booting the guest" => {
            "Waiting for machine to be running, this may take a few minutes...".to_owned()
        }
        "waiting for the API" => "Checking connection to Docker...".to_owned(),
        ours if ours.starts_with(char::is_uppercase) => ours.to_owned(),
        ours => format!("({machine}) {ours}"),
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
