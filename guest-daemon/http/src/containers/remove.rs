//! `DELETE /containers/{id}`.

use http::StatusCode;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn remove(call: Call) -> Result<Reply, HttpError> {
    if call.query.flag("link") {
        return Err(HttpError::unbuilt("removing links"));
    }
    let (force, volumes) = (call.query.flag("force"), call.query.flag("v"));
    call.engine().containers.remove(&call.name, force, volumes).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
