//! `POST /build/prune`: nothing is built here yet, so nothing of a build is kept.

use engine_api::build::CachePruned;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn prune(call: Call) -> Result<Reply, HttpError> {
    call.filters()?;
    Ok(reply::ok(&CachePruned::default()))
}
