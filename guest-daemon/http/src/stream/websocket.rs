//! Attaching over WebSocket (RFC 6455): a message is a piece of input or of output, and nothing
//! says which stream output came from.

use std::time::Duration;

use engine::streams::{AttachedInput, Attachment, Output};
use futures::stream::BoxStream;
use futures::{Sink, SinkExt, Stream, StreamExt};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

const READ_BYTES: usize = 16 * 1024;
/// The largest piece of input.
const MAX_MESSAGE_BYTES: usize = 1 << 20;
const LINGER: Duration = Duration::from_secs(10);

/// How output is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frames {
    Binary,
    Text,
}

/// Whether the client may have a WebSocket; to be asked before anything happens.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), HttpError> {
    let says = |name, wanted: &str| {
        headers.get_all(name).iter().any(|value: &HeaderValue| {
            let words = value.to_str().unwrap_or_default().split(',');
            words.map(str::trim).any(|word| word.eq_ignore_ascii_case(wanted))
        })
    };
    if !says(header::UPGRADE, "websocket") || !says(header::CONNECTION, "upgrade") {
        return Err(HttpError::invalid("not websocket protocol"));
    }
    if !headers.contains_key(header::SEC_WEBSOCKET_KEY) {
        return Err(HttpError::invalid("missing or bad challenge response"));
    }
    if !says(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err(HttpError::invalid("missing or bad WebSocket Version"));
    }
    Ok(())
}

/// Joins the client with the process.
pub(crate) fn connect(mut call: Call, attachment: Attachment, frames: Frames) -> Reply {
    let headers = call.headers();
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map_or(&b""[..], HeaderValue::as_bytes);
    let accept = derive_accept_key(key);
    let protocol = headers.get(header::SEC_WEBSOCKET_PROTOCOL).cloned();
    tokio::spawn(run_upgraded(call.upgrade(), attachment, frames));
    let mut reply = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = reply.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::try_from(accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    // A client that offers one protocol insists on it.
    if let Some(protocol) = protocol.filter(|protocol| !protocol.as_bytes().contains(&b',')) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    reply
}

async fn run_upgraded(upgrade: OnUpgrade, attachment: Attachment, frames: Frames) {
    match upgrade.await {
        Ok(connection) => run(TokioIo::new(connection), attachment, frames).await,
        Err(error) => tracing::debug!(%error, "the client went before the stream began"),
    }
}

async fn run<S>(stream: S, attachment: Attachment, frames: Frames)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let (to_client, from_client) = socket.split();
    let Attachment { input, output, .. } = attachment;
    // At the same time: a process that does not read must not keep its output from the client.
    let reading = read_input(from_client, input);
    tokio::pin!(reading);
    tokio::select! {
        biased;
        () = write_output(to_client, output, frames) => {}
        () = &mut reading => return,
    }
    // The client answers the close; a connection dropped before may lose the last output.
    if tokio::time::timeout(LINGER, reading).await.is_err() {
        tracing::debug!("the client keeps a finished stream open");
    }
}

async fn write_output<S>(
    mut client: impl Sink<Message, Error = S> + Unpin,
    mut output: BoxStream<'static, engine::Result<Output>>,
    frames: Frames,
) {
    while let Some(Ok(piece)) = output.next().await {
        let message = match frames {
            Frames::Binary => Message::Binary(piece.data),
            Frames::Text => Message::text(String::from_utf8_lossy(&piece.data).into_owned()),
        };
        if client.send(message).await.is_err() {
            return;
        }
    }
    drop(client.close().await);
}

async fn read_input<E>(
    mut client: impl Stream<Item = Result<Message, E>> + Unpin,
    mut input: Option<AttachedInput>,
) {
    loop {
        match client.next().await {
            Some(Ok(Message::Binary(data))) => hand_over(&mut input, data).await,
            Some(Ok(Message::Text(text))) => hand_over(&mut input, text.into()).await,
            // Pings are answered below this.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(_)) | Err(_)) | None => return,
        }
    }
}

/// What nobody wants is dropped.
async fn hand_over(input: &mut Option<AttachedInput>, data: Bytes) {
    if let Some(sender) = input
        && !sender.send(data).await
    {
        *input = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(version: &'static str, connection: &'static str) -> HeaderMap {
        HeaderMap::from_iter([
            (header::UPGRADE, HeaderValue::from_static("WebSocket")),
            (header::CONNECTION, HeaderValue::from_static(connection)),
            (header::SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==")),
            (header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(version)),
        ])
    }

    #[test]
    fn only_a_whole_request_for_a_websocket_is_one() {
        assert_eq!(check(&headers("13", "keep-alive, Upgrade")), Ok(()));
        assert!(check(&headers("8", "Upgrade")).is_err());
        assert!(check(&headers("13", "keep-alive")).is_err());
        assert!(check(&HeaderMap::new()).is_err());
    }
}
