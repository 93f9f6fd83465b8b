//! `GET /images/{name}/history`.

use super::convert;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn history(call: Call) -> Result<Reply, HttpError> {
    let engine = call.engine();
    let id = engine.images.inspect(&call.name)?.id;
    Ok(reply::ok(&convert::history(&id, engine.images.history(&call.name)?)))
}
