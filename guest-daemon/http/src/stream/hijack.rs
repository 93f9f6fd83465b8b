//! Attach and exec: after the answer's head the connection is the process's.
//!
//! ```text
//!            client ── bytes ──► AttachedInput    dropped at the client's end of input
//!            client ◄─ frames ── Attachment.output, flushed whenever it pauses
//!   output ends: flush ► close our side ► read what the client still sends ► drop
//!   client breaks: everything is dropped at once
//! ```

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use engine::images::ByteStream;
use engine::streams::{AttachedInput, Attachment, Output, Stream};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use http::{HeaderValue, StatusCode, Version, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::sync::oneshot;

use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::stream::mux;
use crate::versions;

/// Joins the client with the process, in the way the client asked for.
pub(crate) fn connect(call: Call, attachment: Attachment) -> Reply {
    start_and_connect(call, attachment.tty, std::future::ready(attachment))
}

/// The same with a process that is started when the head is on its way: some clients lose output
/// that comes together with the head. It is started as well when the client is gone by then.
pub(crate) fn start_and_connect(
    mut call: Call,
    tty: bool,
    start: impl Future<Output = Attachment> + Send + 'static,
) -> Reply {
    if !call.wants_upgrade() {
        return without_upgrade(call.into_byte_stream(), tty, start);
    }
    let media_type = versions::stream_media_type(call.version, tty);
    tokio::spawn(run_upgraded(call.upgrade(), start));
    let mut reply = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("tcp"));
    reply
}

/// For clients that did not ask: output until the connection closes, without chunks, which is how
/// HTTP/1.0 answers. Input can only be the request's body.
fn without_upgrade(
    body: ByteStream,
    tty: bool,
    start: impl Future<Output = Attachment> + Send + 'static,
) -> Reply {
    let (head_is_out, head) = oneshot::channel::<()>();
    let started = tokio::spawn(async move {
        drop(head.await);
        let Attachment { input, output, .. } = start.await;
        if let Some(input) = input {
            tokio::spawn(feed(body, input));
        }
        output
    });
    // Asked for its first piece, the head is written.
    let output = stream::once(async move {
        head_is_out.send(()).ok();
        started.await.unwrap_or_else(|_| stream::empty().boxed())
    });
    let frames = output.flatten().map(move |item| item.map(|output| mux::encode(output, tty)));
    let mut reply = reply::stream(versions::stream_media_type(crate::version::OLDEST, tty), frames);
    *reply.version_mut() = Version::HTTP_10;
    reply.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    reply
}

async fn feed(mut body: ByteStream, input: AttachedInput) {
    while let Some(Ok(data)) = body.next().await {
        if !input.send(data).await {
            return;
        }
    }
}

async fn run_upgraded(upgrade: OnUpgrade, start: impl Future<Output = Attachment>) {
    let upgraded = upgrade.await;
    let attachment = start.await;
    match upgraded {
        Ok(connection) => {
            let (reader, writer) = tokio::io::split(TokioIo::new(connection));
            run(reader, writer, attachment).await;
        }
        Err(error) => tracing::debug!(%error, "the client went before the stream began"),
    }
}

/// How long to read on after the output was closed. A connection dropped with unread input is
/// reset, and a reset may overtake the last output.
const LINGER: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 32 * 1024;

async fn run<R, W>(reader: R, writer: W, attachment: Attachment)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Attachment { tty, input, output } = attachment;
    let reading = read_input(reader, input);
    tokio::pin!(reading);
    {
        let writing = write_output(writer, tty, output);
        tokio::pin!(writing);
        tokio::select! {
            biased;
            () = &mut writing => {}
            end = &mut reading => match end {
                InputEnd::HalfClosed => return writing.await,
                InputEnd::Broken => return,
            },
        }
    }
    // The client learns from our end of output that it is over, and closes its side.
    if tokio::time::timeout(LINGER, reading).await.is_err() {
        tracing::debug!("the client keeps a finished stream open");
    }
}

enum InputEnd {
    /// The client sends no more but may still listen.
    HalfClosed,
    /// The client is gone.
    Broken,
}

/// Hands over the client's input until it ends; what nobody wants is read and dropped.
async fn read_input<R: AsyncRead + Unpin>(
    mut reader: R,
    mut input: Option<AttachedInput>,
) -> InputEnd {
    loop {
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        match reader.read_buf(&mut buffer).await {
            Ok(0) => return InputEnd::HalfClosed,
            Ok(_) => {}
            Err(_) => return InputEnd::Broken,
        }
        if let Some(sender) = &input
            && !sender.send(buffer.freeze()).await
        {
            input = None;
        }
    }
}

async fn write_output<W: AsyncWrite + Unpin>(
    writer: W,
    tty: bool,
    mut output: BoxStream<'static, engine::Result<Output>>,
) {
    let mut writer = BufWriter::with_capacity(READ_BYTES * 2, writer);
    let result: std::io::Result<()> = async {
        loop {
            let next = match output.next().now_or_never() {
                Some(next) => next,
                None => {
                    writer.flush().await?;
                    output.next().await
                }
            };
            match next {
                Some(Ok(piece)) => writer.write_all(&mux::encode(piece, tty)).await?,
                Some(Err(error)) => {
                    tracing::warn!(error = crate::error::text(&error), "a stream broke off");
                    break;
                }
                None => break,
            }
        }
        writer.flush().await?;
        writer.shutdown().await
    }
    .await;
    if let Err(error) = result {
        tracing::debug!(%error, "the client stopped listening");
    }
}

/// A stream that says one thing on standard output and ends.
pub(crate) fn saying(text: &str, tty: bool) -> Attachment {
    let piece = Output { stream: Stream::Stdout, data: Bytes::from(format!("{text}\r\n")) };
    Attachment { tty, input: None, output: stream::iter([Ok(piece)]).boxed() }
}

#[cfg(test)]
mod tests;
