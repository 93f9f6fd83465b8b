//! `POST /containers/{id}/unpause`.

use http::StatusCode;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn unpause(call: Call) -> Result<Reply, HttpError> {
    call.engine().containers.unpause(&call.name).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
