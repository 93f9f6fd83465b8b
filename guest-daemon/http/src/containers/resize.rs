//! `POST /containers/{id}/resize`.

use http::StatusCode;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn resize(call: Call) -> Result<Reply, HttpError> {
    let size = call.terminal_size()?;
    call.engine().containers.resize(&call.name, size).await?;
    Ok(reply::empty(StatusCode::OK))
}
