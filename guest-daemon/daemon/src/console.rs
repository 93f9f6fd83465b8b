//! The daemon's log: one line an event on the guest's console.

use std::io::{self, Write};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Chatty and of no use to whoever reads a console.
const QUIET: &[&str] = &["russh", "hyper", "rustls"];

/// Also names the process, which the kernel calls after the program's file otherwise.
pub(crate) fn log_to_stderr(level: LevelFilter) {
    let levels = tracing_subscriber::filter::Targets::new()
        .with_default(level)
        .with_targets(QUIET.iter().map(|target| (*target, level.min(LevelFilter::WARN))));
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| OneLine);
    tracing_subscriber::registry().with(lines).with(levels).init();
    if let Err(error) = rustix::thread::set_name(c"daemon") {
        tracing::debug!(%error, "the process keeps its name");
    }
}

/// Writes each event, which comes as one buffer, as one line, whatever its values contain.
struct OneLine;

impl Write for OneLine {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(&one_line(event))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn one_line(event: &[u8]) -> Vec<u8> {
    let text = event.strip_suffix(b"\n").unwrap_or(event);
    let mut line = Vec::with_capacity(event.len());
    for byte in text {
        match byte {
            b'\n' => line.extend(b"\\n"),
            b'\r' => line.extend(b"\\r"),
            0x1b => line.extend(b"\\e"),
            other => line.push(*other),
        }
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_line_ends_cannot_forge_another_event() {
        assert_eq!(one_line(b"a=b\nERROR c\r\x1b[2J\n"), b"a=b\\nERROR c\\r\\e[2J\n");
    }
}
