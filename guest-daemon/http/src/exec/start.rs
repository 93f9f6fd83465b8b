//! `POST /exec/{id}/start`.

use engine::Kind;
use engine_api::exec::ExecStartRequest;
use http::StatusCode;

use super::terminal_size;
use crate::error::{self, HttpError};
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::stream::hijack;

pub(crate) async fn start(mut call: Call) -> Result<Reply, HttpError> {
    let request: ExecStartRequest = call.json_or_default().await?;
    let engine = call.engine();
    let tty = engine.exec.inspect(&call.name)?.request.tty;
    let size = request.console_size.map(terminal_size);
    match engine.exec.start(&call.name, request.detach, size).await {
        Ok(Some(attachment)) => Ok(hijack::connect(call, attachment)),
        Ok(None) => Ok(reply::empty(StatusCode::OK)),
        Err(error) if request.detach || !shows_in_stream(error.kind()) => Err(error.into()),
        // A program that cannot be run is told where its output would have been: clients read the
        // exit code from the exec afterwards, and do not look at a refused upgrade's text.
        Err(error) => Ok(hijack::connect(call, hijack::saying(&error::text(&error), tty))),
    }
}

/// Whether the exec itself was fine and only its program was not.
fn shows_in_stream(kind: Kind) -> bool {
    match kind {
        Kind::InvalidArgument | Kind::Forbidden | Kind::Internal => true,
        Kind::NotFound | Kind::Conflict | Kind::Unavailable | Kind::Unimplemented => false,
    }
}
