//! Bytes of a stream, for something that reads them where it may block.

use std::io::{self, Read};

use bytes::Bytes;
use engine_store::batch::{self, Batch};
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;

type Handed = io::Result<Vec<Bytes>>;

/// Reads a stream, which goes on while the reader is busy, and ends early when nobody reads it.
pub(crate) fn reader(
    stream: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
) -> Received {
    let (sender, batches) = mpsc::channel(batch::WAITING);
    tokio::spawn(collect(stream, sender));
    Received { batches, parts: Vec::new().into_iter(), now: Bytes::new() }
}

/// Collects parts until they are worth handing on.
async fn collect(
    mut stream: impl Stream<Item = io::Result<Bytes>> + Unpin,
    sender: mpsc::Sender<Handed>,
) {
    let mut batch = Batch::default();
    let end = loop {
        let next = tokio::select! {
            next = stream.next() => next,
            () = sender.closed() => return,
        };
        let full = match next {
            Some(Ok(part)) => batch.add(part),
            Some(Err(error)) => break Some(error),
            None => break None,
        };
        if let Some(full) = full
            && sender.send(Ok(full)).await.is_err()
        {
            return;
        }
    };
    // Whoever has gone does not miss it.
    if sender.send(Ok(batch.take())).await.is_ok()
        && let Some(error) = end
    {
        drop(sender.send(Err(error)).await);
    }
}

/// What has come of a stream. Reading blocks until there is more.
pub(crate) struct Received {
    batches: mpsc::Receiver<Handed>,
    parts: std::vec::IntoIter<Bytes>,
    now: Bytes,
}

impl Iterator for Received {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(part) = self.parts.next() {
                return Some(Ok(part));
            }
            match self.batches.blocking_recv()? {
                Ok(batch) => self.parts = batch.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.now.is_empty() {
            match self.next() {
                Some(part) => self.now = part?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.now.len());
        buffer[..length].copy_from_slice(&self.now.split_to(length));
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = 1 << 20;

    fn parts(sizes: &[usize]) -> Vec<io::Result<Bytes>> {
        sizes.iter().map(|size| Ok(Bytes::from(vec![7; *size]))).collect()
    }

    async fn read(stream: Vec<io::Result<Bytes>>) -> (Vec<u8>, io::Result<usize>) {
        let mut received = reader(futures::stream::iter(stream));
        let reading = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            let end = received.read_to_end(&mut all);
            (all, end)
        });
        reading.await.unwrap()
    }

    #[tokio::test]
    async fn every_byte_comes_however_it_was_cut() {
        for sizes in [&[][..], &[0, 0], &[1; 1000], &[LARGE, 1, 0, 3 * LARGE], &[LARGE / 2; 9]] {
            let (all, end) = read(parts(sizes)).await;
            assert_eq!((all.len(), end.unwrap()), (sizes.iter().sum(), sizes.iter().sum()));
        }
    }

    #[tokio::test]
    async fn what_came_before_a_failure_is_read_before_it() {
        let mut stream = parts(&[10, 20]);
        stream.push(Err(io::ErrorKind::ConnectionReset.into()));
        let (all, end) = read(stream).await;
        assert_eq!((all.len(), end.unwrap_err().kind()), (30, io::ErrorKind::ConnectionReset));
    }

    #[tokio::test]
    async fn a_stream_that_nobody_reads_is_let_go() {
        let (sender, receiver) = futures::channel::mpsc::unbounded();
        sender.unbounded_send(Ok(Bytes::from_static(b"a part"))).unwrap();
        let received = reader(receiver);
        tokio::task::yield_now().await;
        assert!(!sender.is_closed());
        drop(received);
        // Nothing more comes, and still it ends.
        while !sender.is_closed() {
            tokio::task::yield_now().await;
        }
    }
}
