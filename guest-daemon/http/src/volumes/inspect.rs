//! `GET /volumes/{name}`.

use super::convert;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn inspect(call: Call) -> Result<Reply, HttpError> {
    Ok(reply::ok(&convert::to_api(call.engine().volumes.inspect(&call.name)?)))
}
