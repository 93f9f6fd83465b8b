//! What one attached client sees: live, or from the log while it is behind.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use engine_store::logs::LogReader;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::hub::{Hub, Item, Queue};
use crate::blocking::blocking;
use crate::error::Result;
use crate::streams::{Output, Stream};

/// Where a client's output begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Now,
    /// The beginning of the log.
    Start,
}

/// Which streams a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub stdout: bool,
    pub stderr: bool,
}

/// Everything from now on, or from the start, until the process ends.
pub(crate) fn subscribe(
    hub: &Arc<Hub>,
    wanted: Wanted,
    from: From,
) -> BoxStream<'static, Result<Output>> {
    let wants = [wanted.stdout, wanted.stderr];
    let runs_ended = hub.position().runs_ended;
    let source = match (from, hub.log()) {
        (From::Start, Some(log)) => Source::Behind(CatchUp {
            // Without a list of the files the newest one has to do.
            generation: log.oldest().unwrap_or_else(|_| log.newest()),
            offset: 0,
            skip: [0, 0],
            reader: None,
        }),
        _ => Source::Live(hub.join(wants)),
    };
    let subscription =
        Subscription { hub: Arc::clone(hub), wants, source, ready: VecDeque::new(), runs_ended };
    futures::stream::unfold(subscription, |mut subscription| async move {
        subscription.next().await.map(|item| (item, subscription))
    })
    .boxed()
}

struct Subscription {
    hub: Arc<Hub>,
    wants: [bool; 2],
    source: Source,
    ready: VecDeque<Output>,
    /// When the client came.
    runs_ended: u64,
}

enum Source {
    Live(Queue),
    Behind(CatchUp),
    Over,
}

struct CatchUp {
    generation: u64,
    offset: u64,
    /// Bytes of each stream that the client has already.
    skip: [usize; 2],
    reader: Option<LogReader>,
}

/// Entries read at a time.
const BATCH: usize = 256;

impl Subscription {
    async fn next(&mut self) -> Option<Result<Output>> {
        loop {
            if let Some(output) = self.ready.pop_front() {
                return Some(Ok(output));
            }
            match &mut self.source {
                Source::Over => return None,
                Source::Live(queue) => match queue.next().await {
                    None => self.source = Source::Over,
                    Some(Item::Output(output)) => return Some(Ok(output)),
                    Some(Item::Behind { generation, offset, skip }) => {
                        let behind = CatchUp { generation, offset, skip, reader: None };
                        self.source = Source::Behind(behind);
                    }
                },
                Source::Behind(_) => {
                    if let Err(error) = self.catch_up().await {
                        self.source = Source::Over;
                        return Some(Err(error));
                    }
                }
            }
        }
    }

    async fn catch_up(&mut self) -> Result<()> {
        let Source::Behind(mut behind) = std::mem::replace(&mut self.source, Source::Over) else {
            return Ok(());
        };
        let seen = self.hub.position();
        let entries = behind.read(&self.hub).await?;
        if !entries.is_empty() {
            for (stderr, text) in entries {
                self.take(&mut behind, stderr, text);
            }
            self.source = Source::Behind(behind);
            return Ok(());
        }
        if behind.generation < seen.generation {
            // That file is finished, as it was already when it was read.
            behind.generation += 1;
            behind.offset = 0;
            behind.reader = None;
            self.source = Source::Behind(behind);
            return Ok(());
        }
        let here = (behind.generation, behind.offset);
        if seen.runs_ended > self.runs_ended && behind.offset >= seen.length {
            return Ok(());
        }
        self.source = match self.hub.join_at(seen, here, behind.skip, self.wants) {
            Some(queue) => Source::Live(queue),
            None => {
                // Something is in the log that has not been handed out yet, or more came.
                let mut moved = self.hub.watch();
                if self.hub.position() == seen {
                    drop(moved.wait_for(|position| *position != seen).await);
                }
                Source::Behind(behind)
            }
        };
        Ok(())
    }

    fn take(&mut self, behind: &mut CatchUp, stderr: bool, mut text: Vec<u8>) {
        let place = usize::from(stderr);
        let known = behind.skip[place].min(text.len());
        behind.skip[place] -= known;
        text.drain(..known);
        if self.wants[place] && !text.is_empty() {
            let stream = if stderr { Stream::Stderr } else { Stream::Stdout };
            self.ready.push_back(Output { stream, data: Bytes::from(text) });
        }
    }
}

impl CatchUp {
    /// Some entries; none when the file has no more for now.
    async fn read(&mut self, hub: &Hub) -> Result<Vec<(bool, Vec<u8>)>> {
        let Some(log) = hub.log() else { return Ok(Vec::new()) };
        let (log, reader) = (Arc::clone(log), self.reader.take());
        let (generation, offset) = (self.generation, self.offset);
        let (reader, entries) = blocking(move || {
            let Some(mut reader) = (match reader {
                Some(reader) => Some(reader),
                None => log.open(generation, offset)?,
            }) else {
                return Ok((None, Vec::new()));
            };
            let mut entries = Vec::new();
            while entries.len() < BATCH
                && let Some(entry) = reader.next_entry()?
            {
                entries.push((entry.stderr, entry.text));
            }
            Ok((Some(reader), entries))
        })
        .await?;
        if let Some(reader) = &reader {
            self.offset = reader.position();
        }
        self.reader = reader;
        Ok(entries)
    }
}
