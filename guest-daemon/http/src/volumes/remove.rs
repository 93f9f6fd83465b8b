//! `DELETE /volumes/{name}`.

use http::StatusCode;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn remove(call: Call) -> Result<Reply, HttpError> {
    call.engine().volumes.remove(&call.name, call.query.flag("force")).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
