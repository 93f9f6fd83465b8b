//! `POST /exec/{id}/start`.

use engine_api::exec::ExecStartRequest;
use http::StatusCode;

use super::terminal_size;
use crate::error::{self, HttpError};
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::stream::hijack;
use crate::versions;

pub(crate) async fn start(mut call: Call) -> Result<Reply, HttpError> {
    let request: ExecStartRequest = call.json_or_default().await?;
    let engine = call.engine();
    engine.exec.check(&call.name)?;
    let tty = engine.exec.inspect(&call.name)?.request.tty;
    // There is no console without a terminal.
    let size = versions::console_size(call.version, request.console_size);
    let size = size.filter(|_| request.tty).map(terminal_size);
    match engine.exec.start(&call.name, request.detach, size).await {
        Ok(Some(attachment)) => Ok(hijack::connect(call, attachment)),
        Ok(None) => Ok(reply::empty(StatusCode::OK)),
        Err(error) if request.detach => Err(error.into()),
        // Where the output would have been: clients read the exit code from the exec afterwards,
        // and do not look at a refused upgrade's text.
        Err(error) => Ok(hijack::connect(call, hijack::saying(&error::text(&error), tty))),
    }
}
