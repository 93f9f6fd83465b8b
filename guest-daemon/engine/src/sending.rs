//! Bytes that something writes, as a stream for a client.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;

use crate::error::Result;
use crate::images::ByteStream;

const CHUNK: usize = 64 * 1024;
/// Chunks that wait for the client to take them.
const WAITING: usize = 4;

/// Runs `write` where it may block: it waits while the client does not take what it wrote, and
/// gets an error when the client has gone. Its failure is the stream's.
pub(crate) fn written(
    write: impl FnOnce(&mut dyn Write) -> Result<()> + Send + 'static,
) -> ByteStream {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut writer = ChannelWriter { sender: sender.clone(), buffer: BytesMut::new() };
        let result = write(&mut writer).map_err(io::Error::other);
        if let Err(error) = result.and_then(|()| writer.flush()) {
            // Without the error a cut archive would look whole.
            drop(sender.blocking_send(Err(error)));
        }
    });
    received(receiver)
}

pub(crate) fn received<T: Send + 'static>(receiver: mpsc::Receiver<T>) -> BoxStream<'static, T> {
    futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|item| (item, receiver))
    })
    .boxed()
}

struct ChannelWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: BytesMut,
}

impl Write for ChannelWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(data);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = self.buffer.split().freeze();
        self.sender.blocking_send(Ok(full)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
