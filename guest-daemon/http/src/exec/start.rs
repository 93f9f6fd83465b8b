//! `POST /exec/{id}/start`.

use engine::streams::{Attachment, Stream};
use engine_api::exec::ExecStartRequest;
use futures::StreamExt;
use http::StatusCode;

use super::terminal_size;
use crate::error::{self, HttpError};
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::stream::hijack;
use crate::versions;

pub(crate) async fn start(mut call: Call) -> Result<Reply, HttpError> {
    let ExecStartRequest { detach, tty, console_size } = call.json_or_default().await?;
    let (engine, id) = (call.engine(), call.name.clone());
    engine.exec.check(&id)?;
    // There is no console without a terminal.
    let size = versions::console_size(call.version, console_size).filter(|_| tty);
    let size = size.map(terminal_size);
    if detach {
        engine.exec.start_detached(&id, size).await?;
        return Ok(reply::empty(StatusCode::OK));
    }
    Ok(hijack::start_and_connect(call, tty, async move {
        match engine.exec.start(&id, size).await {
            Ok(attachment) => as_asked(attachment, tty),
            // Where the output would have been: clients read the exit code from the exec
            // afterwards, and do not look at a refused upgrade's text.
            Err(error) => hijack::saying(&error::text(&error), tty),
        }
    }))
}

/// The framing is what this request asked for, whatever the process has. Who asked for a terminal
/// has no place for an error stream.
fn as_asked(attachment: Attachment, tty: bool) -> Attachment {
    let output = attachment.output.filter(move |item| {
        let dropped = tty && matches!(item, Ok(piece) if piece.stream == Stream::Stderr);
        std::future::ready(!dropped)
    });
    Attachment { tty, input: attachment.input, output: output.boxed() }
}
