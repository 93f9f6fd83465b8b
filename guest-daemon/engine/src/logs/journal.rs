//! A container's log as its pump writes it: each chunk of output is marked, appended, consumed
//! and cleared, so that a daemon that dies in between neither loses nor doubles it.

use std::path::{Path, PathBuf};

use engine_store::container_logs::{LogWriter, Rotation};
use engine_store::{Chunk, PumpMark, PumpState};

use super::lines;
use crate::error::{Error, Result};

#[derive(Debug)]
pub(crate) struct Journal {
    writer: LogWriter,
    mark: PumpMark,
    mark_path: PathBuf,
    state: PumpState,
    /// In the log already; its bytes may be seen again, once.
    logged: Option<Chunk>,
}

/// What a chunk changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// How many of the bytes seen are old.
    pub repeated: usize,
    /// A new file was begun before it.
    pub rotated: bool,
    /// The log's length now.
    pub length: u64,
}

impl Journal {
    /// For a container that starts.
    pub(crate) fn begin(log: &Path, mark: &Path, rotation: Rotation) -> Result<Self> {
        Ok(Self {
            writer: LogWriter::open(log, rotation)?,
            mark: PumpMark::create(mark)?,
            mark_path: mark.to_owned(),
            state: PumpState::default(),
            logged: None,
        })
    }

    /// For a container that an earlier daemon started.
    pub(crate) fn recover(log: &Path, mark: &Path, rotation: Rotation) -> Result<Self> {
        let mut writer = LogWriter::open(log, rotation)?;
        let (recovered_mark, recovery) = PumpMark::recover(mark, writer.length())?;
        if let Some(length) = recovery.truncate.filter(|length| *length < writer.length()) {
            writer.truncate(length)?;
        }
        Ok(Self {
            writer,
            mark: recovered_mark,
            mark_path: mark.to_owned(),
            state: recovery.state,
            logged: recovery.logged,
        })
    }

    pub(super) fn length(&self) -> u64 {
        self.writer.length()
    }

    pub(super) fn partial(&self) -> &[Vec<u8>; 2] {
        &self.state.partial
    }

    /// Logs a chunk that a pipe shows. After it has been consumed, [`Self::clear`].
    pub(super) fn write(&mut self, stderr: bool, data: &[u8], time: &str) -> Written {
        let mut repeated = 0;
        if let Some(chunk) = self.logged
            && chunk.stderr == stderr
        {
            // Whatever the pipe shows first decides; later equal bytes are new ones.
            repeated = chunk.repeated_in(data);
            self.logged = None;
        }
        let fresh = &data[repeated..];
        if fresh.is_empty() {
            return Written { repeated, rotated: false, length: self.writer.length() };
        }
        let mut after = self.state.clone();
        let text = lines::cut(&mut after.partial[usize::from(stderr)], fresh, stderr, time);
        // Now, as nothing is in flight: a mark speaks of the current file.
        let rotated = self.writer.rotate_if_full().unwrap_or_else(|error| {
            tracing::error!(error = %Error::from(error).with_causes(), "a log is not rotated");
            false
        });
        self.append(stderr, data, after, &text);
        Written { repeated, rotated, length: self.writer.length() }
    }

    /// A stream has ended: logs what it said last.
    pub(super) fn end(&mut self, stderr: bool, time: &str) -> Written {
        let mut after = self.state.clone();
        let text = lines::flush(&mut after.partial[usize::from(stderr)], stderr, time);
        if !text.is_empty() {
            self.append(stderr, b"", after, &text);
            self.clear();
        }
        Written { repeated: 0, rotated: false, length: self.writer.length() }
    }

    /// A log that cannot be written must not stop the container: what it says is lost to the log
    /// alone.
    fn append(&mut self, stderr: bool, data: &[u8], after: PumpState, text: &[u8]) {
        let chunk = Chunk::new(stderr, data, self.writer.length(), text.len() as u64);
        let marked = self.mark.begin(&after, &chunk);
        if let Err(error) = marked.and_then(|()| self.writer.append(text)) {
            tracing::error!(error = %Error::from(error).with_causes(), "output is not logged");
        }
        self.state = after;
    }

    pub(super) fn clear(&mut self) {
        if let Err(error) = self.mark.clear(&self.state) {
            tracing::error!(error = %Error::from(error).with_causes(), "a log is not marked");
        }
    }

    /// The container's process has ended and everything is in the log.
    pub(super) fn close(self) {
        self.mark.remove(&self.mark_path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(log: &Path) -> Vec<String> {
        let mut reader = engine_store::LogReader::open(log, 0).unwrap().unwrap();
        let mut lines = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            lines.push(String::from_utf8(entry.text).unwrap());
        }
        lines
    }

    #[test]
    fn a_chunk_that_was_logged_but_not_consumed_is_not_logged_twice() {
        let folder = tempfile::tempdir().unwrap();
        let (log, mark) = (folder.path().join("log"), folder.path().join("mark"));
        let mut first = Journal::begin(&log, &mark, Rotation::default()).unwrap();
        first.write(false, b"one\ntw", "t");
        // The daemon dies before it consumes; the pipe shows the chunk again, and more.
        drop(first);
        let mut second = Journal::recover(&log, &mark, Rotation::default()).unwrap();
        let written = second.write(false, b"one\ntwo\n", "t");
        assert_eq!(written.repeated, 6);
        second.clear();
        assert_eq!(text(&log), ["one\n", "two\n"]);
    }

    #[test]
    fn a_chunk_that_was_consumed_may_be_followed_by_an_equal_one() {
        let folder = tempfile::tempdir().unwrap();
        let (log, mark) = (folder.path().join("log"), folder.path().join("mark"));
        let mut first = Journal::begin(&log, &mark, Rotation::default()).unwrap();
        first.write(false, b"y\n", "t");
        first.clear();
        drop(first);
        let mut second = Journal::recover(&log, &mark, Rotation::default()).unwrap();
        assert_eq!(second.write(false, b"y\n", "t").repeated, 0);
        assert_eq!(text(&log), ["y\n", "y\n"]);
    }

    #[test]
    fn a_partial_line_outlives_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let (log, mark) = (folder.path().join("log"), folder.path().join("mark"));
        let mut first = Journal::begin(&log, &mark, Rotation::default()).unwrap();
        first.write(true, b"half a ", "t");
        first.clear();
        drop(first);
        let mut second = Journal::recover(&log, &mark, Rotation::default()).unwrap();
        second.write(true, b"line\n", "t");
        assert_eq!(text(&log), ["half a line\n"]);
    }
}
