//! A container's log as its pump writes it: each chunk of output is marked, appended, consumed
//! and cleared, so that a daemon that dies in between neither loses nor doubles it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine_store::logs::{LogEncoder, LogFiles, LogWriter};
use engine_store::{Chunk, PumpMark, PumpState};

use super::driver::FilePlan;
use super::lines;
use crate::error::{Error, Result};

#[derive(Debug)]
pub(crate) struct Journal {
    encoder: LogEncoder,
    writer: LogWriter,
    mark: PumpMark,
    mark_path: PathBuf,
    state: PumpState,
    /// In the log already; its bytes may be seen again, once.
    logged: Option<Chunk>,
    /// Nothing can be written; that has been said.
    failing: bool,
}

/// What a chunk changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// How many of the bytes seen are old.
    pub repeated: usize,
    /// How many of the bytes seen were dealt with: what comes after them is for the next file.
    pub taken: usize,
    /// A new file was begun before it.
    pub rotated: bool,
    /// The log's length now.
    pub length: u64,
}

impl Journal {
    /// For a container that starts.
    pub(crate) fn begin(log: Arc<LogFiles>, mark: &Path, plan: FilePlan) -> Result<Self> {
        Ok(Self {
            encoder: plan.encoder,
            writer: LogWriter::open(log, plan.rotation)?,
            mark: PumpMark::create(mark)?,
            mark_path: mark.to_owned(),
            state: PumpState::default(),
            logged: None,
            failing: false,
        })
    }

    /// For a container that an earlier daemon started.
    pub(crate) fn recover(log: Arc<LogFiles>, mark: &Path, plan: FilePlan) -> Result<Self> {
        let mut writer = LogWriter::open(log, plan.rotation)?;
        let (recovered_mark, recovery) = PumpMark::recover(mark, writer.length())?;
        if let Some(length) = recovery.truncate.filter(|length| *length < writer.length()) {
            writer.truncate(length)?;
        }
        Ok(Self {
            encoder: plan.encoder,
            writer,
            mark: recovered_mark,
            mark_path: mark.to_owned(),
            state: recovery.state,
            logged: recovery.logged,
            failing: false,
        })
    }

    pub(super) fn length(&self) -> u64 {
        self.writer.length()
    }

    pub(crate) fn partial(&self) -> &[Vec<u8>; 2] {
        &self.state.partial
    }

    /// Logs a chunk that a pipe shows. After it has been consumed, [`Self::clear`].
    pub(super) fn write(&mut self, stderr: bool, data: &[u8], unix_nanos: i128) -> Written {
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
            let length = self.writer.length();
            return Written { repeated, taken: repeated, rotated: false, length };
        }
        let rotated = self.rotate_if_full();
        let mut after = self.state.clone();
        let stamped = self.encoder.at(unix_nanos);
        let mut text = Vec::with_capacity(fresh.len() + fresh.len() / 4);
        // Only so much that the file is full: a mark speaks of one file.
        let cut = lines::cut(&mut after.partial[usize::from(stderr)], fresh, |line| {
            stamped.line(&mut text, line, stderr);
            match self.writer.is_full_with(text.len() as u64) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        let taken = repeated + cut;
        self.append(stderr, &data[..taken], after, &text);
        Written { repeated, taken, rotated, length: self.writer.length() }
    }

    /// Only while nothing is in flight.
    fn rotate_if_full(&mut self) -> bool {
        self.writer.rotate_if_full().unwrap_or_else(|error| {
            tracing::error!(error = %Error::from(error).with_causes(), "a log is not rotated");
            false
        })
    }

    /// A stream has ended: logs what it said last.
    pub(super) fn end(&mut self, stderr: bool, unix_nanos: i128) -> Written {
        let mut after = self.state.clone();
        let stamped = self.encoder.at(unix_nanos);
        let mut text = Vec::new();
        lines::flush(&mut after.partial[usize::from(stderr)], |line| {
            stamped.line(&mut text, line, stderr);
        });
        let mut rotated = false;
        if !text.is_empty() {
            rotated = self.rotate_if_full();
            self.append(stderr, b"", after, &text);
            self.clear();
        }
        Written { repeated: 0, taken: 0, rotated, length: self.writer.length() }
    }

    /// A log that cannot be written must not stop the container: what it says is lost to the log
    /// alone.
    fn append(&mut self, stderr: bool, data: &[u8], after: PumpState, text: &[u8]) {
        let chunk = Chunk::new(stderr, data, self.writer.length(), text.len() as u64);
        let marked = self.mark.begin(&after, &chunk);
        let result = marked.and_then(|()| self.writer.append(text)).map_err(Error::from);
        if let Err(error) = &result
            && !self.failing
        {
            tracing::error!(error = error.with_causes(), "output is not logged");
        }
        self.failing = result.is_err();
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
    use engine_store::logs::{LogForm, Rotation};

    fn plan() -> FilePlan {
        let encoder = LogEncoder::new(LogForm::Json, &Default::default());
        FilePlan { encoder, rotation: Rotation::default() }
    }

    fn text(log: &LogFiles) -> Vec<String> {
        let mut reader = log.open(log.newest(), 0).unwrap().unwrap();
        let mut lines = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            lines.push(String::from_utf8(entry.text).unwrap());
        }
        lines
    }

    #[test]
    fn a_chunk_that_was_logged_but_not_consumed_is_not_logged_twice() {
        let folder = tempfile::tempdir().unwrap();
        let (log, mark) = (LogFiles::new(folder.path().join("log")), folder.path().join("mark"));
        let mut first = Journal::begin(Arc::clone(&log), &mark, plan()).unwrap();
        first.write(false, b"one\ntw", 1);
        // The daemon dies before it consumes; the pipe shows the chunk again, and more.
        drop(first);
        let mut second = Journal::recover(Arc::clone(&log), &mark, plan()).unwrap();
        let written = second.write(false, b"one\ntwo\n", 1);
        assert_eq!(written.repeated, 6);
        second.clear();
        assert_eq!(text(&log), ["one\n", "two\n"]);
    }

    #[test]
    fn a_chunk_that_was_consumed_may_be_followed_by_an_equal_one() {
        let folder = tempfile::tempdir().unwrap();
        let (log, mark) = (LogFiles::new(folder.path().join("log")), folder.path().join("mark"));
        let mut first = Journal::begin(Arc::clone(&log), &mark, plan()).unwrap();
        first.write(false, b"y\n", 1);
        first.clear();
        drop(first);
        let mut second = Journal::recover(Arc::clone(&log), &mark, plan()).unwrap();
        assert_eq!(second.write(false, b"y\n", 1).repeated, 0);
        assert_eq!(text(&log), ["y\n", "y\n"]);
    }

    #[test]
    fn a_partial_line_outlives_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let (log, mark) = (LogFiles::new(folder.path().join("log")), folder.path().join("mark"));
        let mut first = Journal::begin(Arc::clone(&log), &mark, plan()).unwrap();
        first.write(true, b"half a ", 1);
        first.clear();
        drop(first);
        let mut second = Journal::recover(Arc::clone(&log), &mark, plan()).unwrap();
        second.write(true, b"line\n", 1);
        assert_eq!(text(&log), ["half a line\n"]);
    }

    #[test]
    fn a_file_is_longer_than_it_may_be_by_one_line_at_the_most() {
        let folder = tempfile::tempdir().unwrap();
        let (log, mark) = (LogFiles::new(folder.path().join("log")), folder.path().join("mark"));
        let rotation = Rotation { max_size: Some(60), max_files: 100, compress: false };
        let plan = || FilePlan { rotation, ..plan() };
        let lines: Vec<String> = (10..30).map(|number| format!("line {number}\n")).collect();
        let output = lines.concat();
        let mut journal = Journal::begin(Arc::clone(&log), &mark, plan()).unwrap();
        let mut rest = output.as_bytes();
        let mut dies = false;
        while !rest.is_empty() {
            let written = journal.write(false, rest, 1);
            dies = !dies;
            if dies {
                drop(journal);
                journal = Journal::recover(Arc::clone(&log), &mark, plan()).unwrap();
                continue;
            }
            rest = &rest[written.taken..];
            journal.clear();
        }
        let mut seen = Vec::new();
        for generation in log.oldest().unwrap()..=log.newest() {
            let mut reader = log.open(generation, 0).unwrap().unwrap();
            let mut entries = 0;
            while let Some(entry) = reader.next_entry().unwrap() {
                seen.push(String::from_utf8(entry.text).unwrap());
                entries += 1;
            }
            // The first of them fills it.
            assert_eq!(entries, 1, "{generation}");
        }
        assert_eq!(seen, lines);
    }
}
