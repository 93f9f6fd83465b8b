//! `POST /containers/{id}/kill`.

use http::StatusCode;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn kill(call: Call) -> Result<Reply, HttpError> {
    call.engine().containers.kill(&call.name, call.query.text("signal")).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
