//! `GET /volumes`.

use engine_api::volume::VolumeList;

use super::convert;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn list(call: Call) -> Result<Reply, HttpError> {
    let volumes = call.engine().volumes.list(&call.filters()?)?;
    let volumes = volumes.into_iter().map(convert::to_api).collect();
    Ok(reply::ok(&VolumeList { volumes, warnings: None }))
}
