//! `DELETE /containers/{id}`, and of a link `DELETE /containers/{id}/{alias}?link=1`.

use http::StatusCode;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn remove(call: Call) -> Result<Reply, HttpError> {
    if call.query.flag("link") {
        call.engine().containers.remove_link(&call.name).await?;
        return Ok(reply::empty(StatusCode::NO_CONTENT));
    }
    if call.name.contains("/checkpoints/") {
        return Err(HttpError::unbuilt("checkpointing containers"));
    }
    let (force, volumes) = (call.query.flag("force"), call.query.flag("v"));
    call.engine().containers.remove(&call.name, force, volumes).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
