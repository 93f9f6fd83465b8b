//! `GET /images/{name}/history`.

use super::convert;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::versions;

pub(crate) async fn history(call: Call) -> Result<Reply, HttpError> {
    let platform = call.platform(versions::knows_platforms(call.version))?;
    let images = &call.engine().images;
    images.check_platform(&call.name, &platform)?;
    Ok(reply::ok(&convert::history(images.history(&call.name)?)))
}
