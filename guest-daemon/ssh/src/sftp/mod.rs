//! The subsystem `sftp`: files for `scp`, `sftp`, `sshfs` and editors. Version 3 of the protocol
//! with the extensions of OpenSSH that its clients use.
//!
//! ```text
//!  channel ──► queue ──► requests ──► thread that may block ──► answers ──► channel
//! ```
//!
//! Requests are answered in their order. A client may send many before it takes an answer, so what
//! it sends is taken in while an answer waits for it; see `queue`.

mod answer;
mod attributes;
mod extensions;
mod files;
mod packet;

use std::io;

use russh::server::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use crate::queue::Places;
use crate::relay::{close, report};
use answer::Server;

type Queue = mpsc::UnboundedSender<(bytes::Bytes, OwnedSemaphorePermit)>;
type Queued = mpsc::UnboundedReceiver<(bytes::Bytes, OwnedSemaphorePermit)>;

/// Serves files until the client ends it.
pub(crate) async fn serve(channel: Channel<Msg>, session: Handle) {
    let (mut from_client, to_client) = channel.split();
    let id = to_client.id();
    let stalled = watch::Sender::new(false);
    let (queue, queued) = mpsc::unbounded_channel();
    let taking_in = take_in(&mut from_client, queue, Places::new(stalled.subscribe()));
    let served = {
        let answering = answer_all(queued, &to_client, &stalled);
        tokio::pin!(answering, taking_in);
        tokio::select! {
            served = &mut answering => served,
            taken = &mut taking_in => match taken {
                Ok(()) => answering.await,
                Err(error) => Err(error),
            },
        }
    };
    match served {
        Ok(()) => report(&session, id, 0).await,
        Err(error) => {
            tracing::debug!(%error, "sftp: ended early");
            close(&session, id).await;
        }
    }
}

/// Ends when the client sends nothing more.
async fn take_in(
    from_client: &mut ChannelReadHalf,
    queue: Queue,
    mut places: Places,
) -> io::Result<()> {
    while let Some(message) = from_client.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                let place = places.take(data.len()).await?;
                if queue.send((data, place)).is_err() {
                    break;
                }
            }
            ChannelMsg::Eof => break,
            ChannelMsg::Close => return Err(io::ErrorKind::BrokenPipe.into()),
            _ => {}
        }
    }
    Ok(())
}

async fn answer_all(
    mut queued: Queued,
    to_client: &ChannelWriteHalf<Msg>,
    stalled: &watch::Sender<bool>,
) -> io::Result<()> {
    let mut server = Server::default();
    let mut requests = Vec::new();
    while let Some((data, place)) = queued.recv().await {
        requests.extend_from_slice(&data);
        drop((data, place));
        let mut more = true;
        while more {
            let answers;
            (server, requests, answers, more) = tokio::task::spawn_blocking(move || {
                let (answers, more) = server.answer(&mut requests)?;
                Ok::<_, io::Error>((server, requests, answers, more))
            })
            .await
            .map_err(io::Error::other)??;
            if !answers.is_empty() {
                stalled.send_replace(true);
                let sent = to_client.data_bytes(answers).await;
                stalled.send_replace(false);
                sent.map_err(io::Error::other)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
