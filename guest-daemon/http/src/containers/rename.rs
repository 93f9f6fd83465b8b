//! `POST /containers/{id}/rename`.

use http::StatusCode;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn rename(call: Call) -> Result<Reply, HttpError> {
    call.engine().containers.rename(&call.name, call.query.text("name")).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
