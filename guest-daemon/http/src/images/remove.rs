//! `DELETE /images/{name}`.

use super::convert;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn remove(call: Call) -> Result<Reply, HttpError> {
    let (force, prune) = (call.query.flag("force"), !call.query.flag("noprune"));
    let removed = call.engine().images.remove(&call.name, force, prune).await?;
    Ok(reply::ok(&convert::removed(removed)))
}
