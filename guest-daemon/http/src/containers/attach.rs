//! `POST /containers/{id}/attach`.

use engine::containers::AttachOptions;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::Reply;
use crate::stream::hijack;

pub(crate) async fn attach(call: Call) -> Result<Reply, HttpError> {
    let options = AttachOptions {
        stdin: call.query.flag("stdin"),
        stdout: call.query.flag("stdout"),
        stderr: call.query.flag("stderr"),
        stream: call.query.flag("stream"),
        logs: call.query.flag("logs"),
        detach_keys: call.query.text("detachKeys").to_owned(),
    };
    let attachment = call.engine().containers.attach(&call.name, options).await?;
    Ok(hijack::connect(call, attachment))
}
