//! `POST /containers/{id}/start`.

use super::acted;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::Reply;

pub(crate) async fn start(call: Call) -> Result<Reply, HttpError> {
    if !call.query.text("checkpoint").is_empty() {
        return Err(HttpError::unbuilt("starting from a checkpoint"));
    }
    let detach_keys = call.query.text("detachKeys");
    Ok(acted(call.engine().containers.start(&call.name, detach_keys).await?))
}
