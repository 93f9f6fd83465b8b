//! `POST /containers/{id}/exec`.

use engine::exec::CreateExec;
use engine_api::exec::{ExecCreateRequest, ExecCreateResponse};
use http::StatusCode;

use super::terminal_size;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::versions;

pub(crate) async fn create(mut call: Call) -> Result<Reply, HttpError> {
    let mut request: ExecCreateRequest = call.json_or_default().await?;
    request.console_size = versions::console_size(call.version, request.console_size);
    if request.cmd.as_ref().is_none_or(Vec::is_empty) {
        return Err(HttpError::invalid("No exec command specified"));
    }
    let id = call.engine().exec.create(&call.name, from_api(request)).await?;
    Ok(reply::json(StatusCode::CREATED, &ExecCreateResponse { id }))
}

fn from_api(request: ExecCreateRequest) -> CreateExec {
    CreateExec {
        attach_stdin: request.attach_stdin,
        attach_stdout: request.attach_stdout,
        attach_stderr: request.attach_stderr,
        detach_keys: request.detach_keys,
        tty: request.tty,
        env: request.env.unwrap_or_default(),
        cmd: request.cmd.unwrap_or_default(),
        user: request.user,
        working_dir: request.working_dir,
        privileged: request.privileged,
        terminal_size: request.console_size.map(terminal_size).unwrap_or_default(),
    }
}
