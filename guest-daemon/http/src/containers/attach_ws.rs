//! `GET /containers/{id}/attach/ws`.

use engine::containers::AttachOptions;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::Reply;
use crate::stream::websocket;
use crate::versions;

pub(crate) async fn attach(call: Call) -> Result<Reply, HttpError> {
    websocket::check(call.headers())?;
    let wants = |name| versions::websocket_stream(call.version, call.query.flag(name));
    let options = AttachOptions {
        stdin: wants("stdin"),
        stdout: wants("stdout"),
        stderr: wants("stderr"),
        stream: call.query.flag("stream"),
        logs: call.query.flag("logs"),
        detach_keys: call.query.text("detachKeys").to_owned(),
    };
    let attachment = call.engine().containers.attach(&call.name, options).await?;
    let frames = versions::websocket_frames(call.version);
    Ok(websocket::connect(call, attachment, frames))
}
