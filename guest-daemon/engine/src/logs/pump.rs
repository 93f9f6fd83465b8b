//! The task that moves a process's output: peek → log → hand out → consume.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::hub::{Hub, Logged};
use super::journal::{Journal, Written};
use super::shipper::Shipper;
use crate::error::{Error, Result};
use crate::ports::{OutputPipe, ProcessIo};
use crate::time::Clock;

pub(crate) struct Pump {
    pub hub: Arc<Hub>,
    /// `None` when nothing is logged.
    pub journal: Option<Journal>,
    /// Set when it is also sent elsewhere.
    pub shipper: Option<Shipper>,
    pub clock: Arc<dyn Clock>,
    /// The daemon goes, the container stays.
    pub stop: CancellationToken,
}

enum Seen {
    Stdout(Result<Vec<u8>>),
    Stderr(Result<Vec<u8>>),
    Stop,
}

impl Pump {
    /// Shows the process to those who are attached; then the bytes can be moved with the future
    /// returned, which completes when both streams have ended.
    pub(crate) fn begin(self, io: ProcessIo) -> impl Future<Output = ()> + Send + 'static {
        let (length, partial) = match &self.journal {
            Some(journal) => (journal.length(), journal.partial().clone()),
            None => (0, Default::default()),
        };
        self.hub.begin_run(io.stdin, length, partial);
        self.run(io.stdout, io.stderr)
    }

    async fn run(
        mut self,
        mut stdout: Option<Box<dyn OutputPipe>>,
        mut stderr: Option<Box<dyn OutputPipe>>,
    ) {
        while stdout.is_some() || stderr.is_some() {
            let seen = tokio::select! {
                data = peek(&mut stdout) => Seen::Stdout(data),
                data = peek(&mut stderr) => Seen::Stderr(data),
                () = self.stop.cancelled() => Seen::Stop,
            };
            match seen {
                Seen::Stdout(data) => stdout = self.chunk(stdout, false, data).await,
                Seen::Stderr(data) => stderr = self.chunk(stderr, true, data).await,
                // The marks stay: the next daemon goes on from here.
                Seen::Stop => return,
            }
        }
        if let Some(journal) = self.journal {
            journal.close();
        }
        if let Some(shipper) = self.shipper {
            shipper.finish().await;
        }
    }

    /// Moves one chunk; the pipe comes back unless it has ended.
    async fn chunk(
        &mut self,
        pipe: Option<Box<dyn OutputPipe>>,
        stderr: bool,
        data: Result<Vec<u8>>,
    ) -> Option<Box<dyn OutputPipe>> {
        let mut pipe = pipe?;
        let data = match data {
            Ok(data) => data,
            Err(error) => {
                tracing::error!(error = error.with_causes(), "output cannot be read");
                Vec::new()
            }
        };
        let is_end = data.is_empty();
        let (data, count) = self.log(stderr, Bytes::from(data)).await;
        if let Some(shipper) = &mut self.shipper
            && (is_end || !data.is_empty())
        {
            shipper.take(stderr, &data, self.clock.now()).await;
        }
        if is_end {
            return None;
        }
        if !data.is_empty() {
            self.hub.wait_for_room().await;
        }
        if let Err(error) = pipe.consume(count).await {
            tracing::error!(error = error.with_causes(), "output cannot be taken");
            return None;
        }
        if let Some(journal) = &mut self.journal {
            journal.clear();
        }
        Some(pipe)
    }

    /// Logs and hands out what is new; empty data is the stream's end. Says also how many bytes of
    /// the pipe are done with: what fills a log's file ends there, and the rest is seen again.
    async fn log(&mut self, stderr: bool, data: Bytes) -> (Bytes, usize) {
        let count = data.len();
        let Some(mut journal) = self.journal.take() else {
            self.hub.deliver(stderr, &data, None);
            return (data, count);
        };
        let time = self.clock.now();
        let chunk = data.clone();
        let written = tokio::task::spawn_blocking(move || {
            let written = if chunk.is_empty() {
                journal.end(stderr, time)
            } else {
                journal.write(stderr, &chunk, time)
            };
            (journal, written)
        })
        .await;
        match written {
            Ok((journal, Written { repeated, taken, rotated, length })) => {
                let fresh = data.slice(repeated..taken);
                let partial = journal.partial().clone();
                self.hub.deliver(stderr, &fresh, Some(Logged { length, rotated, partial }));
                self.journal = Some(journal);
                (fresh, taken)
            }
            Err(failed) => {
                let error = Error::internal("logging has failed", failed);
                tracing::error!(error = error.with_causes(), "output is not logged any more");
                self.hub.deliver(stderr, &data, None);
                (data, count)
            }
        }
    }
}

/// Waits for ever on a stream that has ended.
async fn peek(pipe: &mut Option<Box<dyn OutputPipe>>) -> Result<Vec<u8>> {
    match pipe {
        Some(pipe) => pipe.peek().await,
        None => std::future::pending().await,
    }
}
