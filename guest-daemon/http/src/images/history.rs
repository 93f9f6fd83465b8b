//! `GET /images/{name}/history`.

use super::convert;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn history(call: Call) -> Result<Reply, HttpError> {
    Ok(reply::ok(&convert::history(call.engine().images.history(&call.name)?)))
}
