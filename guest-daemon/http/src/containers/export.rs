//! `GET /containers/{id}/export`.

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn export(call: Call) -> Result<Reply, HttpError> {
    Ok(reply::stream(reply::BYTES, call.engine().containers.export(&call.name)?))
}
