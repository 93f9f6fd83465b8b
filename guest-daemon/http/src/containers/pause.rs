//! `POST /containers/{id}/pause`.

use http::StatusCode;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn pause(call: Call) -> Result<Reply, HttpError> {
    call.engine().containers.pause(&call.name).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
