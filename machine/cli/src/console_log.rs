//! The file in which a guest's console ends up, printed and followed.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use machine_lifecycle::{MachineName, State};

use crate::Context;
use crate::error::CommandError;

/// Between two looks at a file that grows; there is no portable way to be told.
const LOOK: Duration = Duration::from_millis(200);

/// In which the last lines are looked for.
const TAIL: u64 = 64 * 1024;

/// How much is printed of what is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Beginning,
    LastLines(usize),
}

/// Until when more is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    Now,
    /// The machine does not run any more, or nobody reads.
    Stopped,
}

pub(crate) async fn print(
    name: &MachineName,
    from: From,
    until: Until,
    context: &Context,
) -> Result<(), CommandError> {
    let path = context.machines.console(name)?;
    let failed = |error: io::Error| {
        CommandError::failed(format!("{} could not be read", path.display())).because(&error)
    };
    let mut file = open(&path).map_err(failed)?;
    if let (From::LastLines(lines), Some(file)) = (from, &mut file) {
        skip_to_last(file, lines).map_err(failed)?;
    }
    let mut looks = tokio::time::interval(LOOK);
    loop {
        // First the state, then what is there: nothing written before the stop is missed.
        let ended = until == Until::Now || has_ended(context.machines.status(name).await?);
        if copy(file.as_mut(), context).map_err(failed)?.is_break() || ended {
            return Ok(());
        }
        looks.tick().await;
        if replaced(file.as_ref(), &path) {
            file = open(&path).map_err(failed)?;
        }
    }
}

fn has_ended(state: State) -> bool {
    matches!(state, State::Stopped | State::Saved)
}

/// A machine that has never booted has no console yet.
fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn skip_to_last(file: &mut File, lines: usize) -> io::Result<()> {
    let begin = file.metadata()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(begin))?;
    let mut tail = Vec::new();
    file.by_ref().take(TAIL).read_to_end(&mut tail)?;
    let skipped = u64::try_from(before_last(&tail, lines)).unwrap_or(0);
    file.seek(SeekFrom::Start(begin + skipped))?;
    Ok(())
}

/// How many bytes come before the last lines. A line need not be finished.
fn before_last(text: &[u8], lines: usize) -> usize {
    let finished = text.strip_suffix(b"\n").unwrap_or(text);
    let ends = finished.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    match lines.checked_sub(1) {
        Some(earlier) => ends.map(|(at, _)| at + 1).nth(earlier).unwrap_or(0),
        None => text.len(),
    }
}

/// Prints what is there now. Breaks when nobody reads.
fn copy(file: Option<&mut File>, context: &Context) -> io::Result<ControlFlow<()>> {
    let Some(file) = file else { return Ok(ControlFlow::Continue(())) };
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = file.read(&mut buffer)?;
        let bytes = buffer.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        if context.ui.raw_result(bytes).is_err() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

/// Each boot begins a new console.
fn replaced(file: Option<&File>, path: &Path) -> bool {
    let Ok(named) = path.metadata() else { return false };
    match file.and_then(|file| file.metadata().ok()) {
        Some(held) => held.ino() != named.ino() || held.dev() != named.dev(),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::before_last;

    #[test]
    fn the_last_lines_are_found_whether_or_not_the_text_ends_with_one() {
        let rest = |text: &'static str, lines| text.split_at(before_last(text.as_bytes(), lines)).1;
        assert_eq!(rest("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(rest("a\nb\nc", 2), "b\nc");
        assert_eq!(rest("a\nb\n", 5), "a\nb\n");
        assert_eq!(rest("\n\n\n", 1), "\n");
        assert_eq!(rest("", 3), "");
        assert_eq!(rest("a\n", 0), "");
    }
}
