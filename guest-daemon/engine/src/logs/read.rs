//! `docker logs`: the past from the files, then what comes.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use engine_store::logs::{LogEntry, LogFiles, LogReader};
use futures::StreamExt;
use futures::stream::BoxStream;

use super::hub::{Hub, Position};
use crate::blocking::blocking;
use crate::containers::LogOptions;
use crate::error::Result;
use crate::streams::{Output, Stream};
use crate::time::Clock;

const BATCH: usize = 256;

struct Reading {
    hub: Arc<Hub>,
    log: Arc<LogFiles>,
    clock: Arc<dyn Clock>,
    options: LogOptions,
    /// The file that is read, and where in it to begin.
    generation: u64,
    offset: u64,
    reader: Option<LogReader>,
    /// When the reader came: without `follow` this is the end.
    came: Position,
    ready: VecDeque<Output>,
    over: bool,
}

/// The entries that were asked for.
pub(crate) async fn read(
    hub: Arc<Hub>,
    log: Arc<LogFiles>,
    clock: Arc<dyn Clock>,
    options: LogOptions,
) -> Result<BoxStream<'static, Result<Output>>> {
    let came = hub.position();
    let (files, tail) = (Arc::clone(&log), options.tail);
    let (generation, offset) = blocking(move || match tail {
        Some(count) => files.tail(count),
        None => Ok((files.oldest()?, 0)),
    })
    .await?;
    let reading = Reading {
        hub,
        log,
        clock,
        options,
        generation,
        offset,
        reader: None,
        came,
        ready: VecDeque::new(),
        over: false,
    };
    Ok(futures::stream::unfold(reading, |mut reading| async move {
        reading.next().await.map(|item| (item, reading))
    })
    .boxed())
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
        // Looked at before reading, so that an end seen here means that all has been written.
        let seen = self.hub.position();
        let entries = self.read_some().await?;
        if entries.is_empty() {
            self.at_end(seen).await;
        }
        entries.into_iter().for_each(|entry| self.take(entry));
        Ok(())
    }

    /// The file has no more for now.
    async fn at_end(&mut self, seen: Position) {
        if self.generation < seen.generation {
            self.generation += 1;
            self.offset = 0;
            self.reader = None;
            return;
        }
        if !self.options.follow || seen.runs_ended > self.came.runs_ended || !seen.running {
            self.over = true;
            return;
        }
        let mut moved = self.hub.watch();
        let changed = moved.wait_for(|position| *position != seen);
        match self.options.until {
            // A `follow` with an end that is yet to come ends then.
            Some(until) => {
                let now = self.clock.now();
                let left = u64::try_from(until - now).unwrap_or(0);
                let left = std::time::Duration::from_nanos(left);
                self.over = tokio::time::timeout(left, changed).await.is_err();
            }
            None => drop(changed.await),
        }
    }

    async fn read_some(&mut self) -> Result<Vec<LogEntry>> {
        let (log, reader) = (Arc::clone(&self.log), self.reader.take());
        let (generation, offset) = (self.generation, self.offset);
        let (reader, entries) = blocking(move || {
            let reader = match reader {
                Some(reader) => Some(reader),
                None => log.open(generation, offset)?,
            };
            let Some(mut reader) = reader else { return Ok((None, Vec::new())) };
            let mut entries = Vec::new();
            while entries.len() < BATCH
                && let Some(entry) = reader.next_entry()?
            {
                entries.push(entry);
            }
            Ok((Some(reader), entries))
        })
        .await?;
        self.reader = reader;
        Ok(entries)
    }

    fn take(&mut self, entry: LogEntry) {
        let time = i128::from(entry.unix_nanos);
        let place = (self.generation, entry.next);
        let is_new = !self.options.follow && place > (self.came.generation, self.came.length);
        if is_new || self.options.until.is_some_and(|until| time > until) {
            self.over = true;
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
            line.extend_from_slice(details(&entry.attributes).as_bytes());
            line.push(b' ');
        }
        line.extend_from_slice(&entry.text);
        let stream = if entry.stderr { Stream::Stderr } else { Stream::Stdout };
        self.ready.push_back(Output { stream, data: Bytes::from(line) });
    }
}

/// `a=b,c=d`, escaped as in a query; the attributes are in order.
fn details(attributes: &[(String, String)]) -> String {
    let pairs = attributes.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value)));
    pairs.collect::<Vec<_>>().join(",")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            b' ' => escaped.push('+'),
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}
