//! `docker logs`: the past from the files, then what comes.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use engine_store::container_logs::rotated;
use engine_store::{LogEntry, LogReader, tail_offset};
use futures::StreamExt;
use futures::stream::BoxStream;

use super::hub::{Hub, Position};
use crate::blocking::blocking;
use crate::containers::LogOptions;
use crate::error::Result;
use crate::streams::{Output, Stream};
use crate::time::Clock;

const BATCH: usize = 256;

/// A container's log, whether it runs or not.
#[derive(Clone, Debug)]
pub(crate) struct LogFile {
    pub hub: Arc<Hub>,
    pub path: PathBuf,
    pub clock: Arc<dyn Clock>,
}

struct Reading {
    log: LogFile,
    options: LogOptions,
    /// Which file is read: 0 is the oldest that was there, and so on.
    files: VecDeque<(PathBuf, u64)>,
    reader: Option<LogReader>,
    /// The generation of the file after all of `files`.
    generation: u64,
    /// When the reader came.
    runs_ended: u64,
    ready: VecDeque<Output>,
    over: bool,
}

/// The entries that were asked for.
pub(crate) async fn read(
    log: LogFile,
    options: LogOptions,
) -> Result<BoxStream<'static, Result<Output>>> {
    let position = log.hub.position();
    let (path, tail) = (log.path.clone(), options.tail);
    let files = blocking(move || places(&path, tail)).await?;
    let reading = Reading {
        log,
        options,
        files,
        reader: None,
        generation: position.generation,
        runs_ended: position.runs_ended,
        ready: VecDeque::new(),
        over: false,
    };
    Ok(futures::stream::unfold(reading, |mut reading| async move {
        reading.next().await.map(|item| (item, reading))
    })
    .boxed())
}

/// The files to read, oldest first, and where to begin in each.
fn places(
    path: &std::path::Path,
    tail: Option<usize>,
) -> engine_store::Result<VecDeque<(PathBuf, u64)>> {
    let mut files = VecDeque::new();
    let mut wanted = tail;
    for number in 0.. {
        let file = rotated(path, number);
        if number > 0 && (wanted == Some(0) || LogReader::open(&file, 0)?.is_none()) {
            break;
        }
        match wanted {
            None => files.push_front((file, 0)),
            Some(count) => {
                let (offset, found) = tail_offset(&file, count)?;
                wanted = Some(count - found.min(count));
                files.push_front((file, offset));
            }
        }
    }
    Ok(files)
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Output>> {
        loop {
            if let Some(output) = self.ready.pop_front() {
                return Some(Ok(output));
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.advance().await {
                self.over = true;
                return Some(Err(error));
            }
        }
    }

    async fn advance(&mut self) -> Result<()> {
        if self.reader.is_none() {
            match self.files.pop_front() {
                Some((path, offset)) => {
                    self.reader = blocking(move || LogReader::open(&path, offset)).await?;
                }
                None => self.over = true,
            }
            return Ok(());
        }
        // Looked at before reading, so that an end seen here means that all has been written.
        let seen = self.log.hub.position();
        let entries = self.read_some().await?;
        if !entries.is_empty() {
            for entry in entries {
                self.take(entry);
            }
            return Ok(());
        }
        self.at_end(seen).await;
        Ok(())
    }

    /// The file has no more for now.
    async fn at_end(&mut self, seen: Position) {
        if !self.files.is_empty() {
            self.reader = None;
            return;
        }
        if !self.options.follow {
            self.over = true;
            return;
        }
        if self.generation < seen.generation {
            self.generation += 1;
            let behind = u32::try_from(seen.generation - self.generation).unwrap_or(u32::MAX);
            self.files.push_back((rotated(&self.log.path, behind), 0));
            self.reader = None;
            return;
        }
        if seen.runs_ended > self.runs_ended || !seen.running {
            self.over = true;
            return;
        }
        let mut moved = self.log.hub.watch();
        let changed = moved.wait_for(|position| *position != seen);
        match self.options.until {
            // A `follow` with an end that is yet to come ends then.
            Some(until) => {
                let now = self.log.clock.now();
                let left = u64::try_from(until - now).unwrap_or(0);
                let left = std::time::Duration::from_nanos(left);
                self.over = tokio::time::timeout(left, changed).await.is_err();
            }
            None => drop(changed.await),
        }
    }

    async fn read_some(&mut self) -> Result<Vec<LogEntry>> {
        let Some(mut reader) = self.reader.take() else { return Ok(Vec::new()) };
        let (reader, entries) = blocking(move || {
            let mut entries = Vec::new();
            while entries.len() < BATCH
                && let Some(entry) = reader.next_entry()?
            {
                entries.push(entry);
            }
            Ok((reader, entries))
        })
        .await?;
        self.reader = Some(reader);
        Ok(entries)
    }

    fn take(&mut self, entry: LogEntry) {
        let time = i128::from(entry.unix_nanos);
        if self.options.until.is_some_and(|until| time > until) {
            self.over = true;
            return;
        }
        let wanted = if entry.stderr { self.options.stderr } else { self.options.stdout };
        if self.over || !wanted || self.options.since.is_some_and(|since| time < since) {
            return;
        }
        let mut line = Vec::with_capacity(entry.text.len() + 32);
        if self.options.timestamps {
            let time = jiff::Timestamp::from_nanosecond(time).unwrap_or_default();
            line.extend_from_slice(format!("{time:.9} ").as_bytes());
        }
        if self.options.details {
            // No option adds attributes yet; the space between them and the text is there.
            line.push(b' ');
        }
        line.extend_from_slice(&entry.text);
        let stream = if entry.stderr { Stream::Stderr } else { Stream::Stdout };
        self.ready.push_back(Output { stream, data: Bytes::from(line) });
    }
}
