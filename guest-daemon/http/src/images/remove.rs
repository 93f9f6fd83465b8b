//! `DELETE /images/{name}`.

use super::convert;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::versions;

pub(crate) async fn remove(call: Call) -> Result<Reply, HttpError> {
    let (force, prune) = (call.query.flag("force"), !call.query.flag("noprune"));
    let known = versions::knows_remove_platforms(call.version);
    let platform = call.one_platform("platforms", known, "multiple platforms are not supported")?;
    let images = &call.engine().images;
    images.check_platform(&call.name, &platform)?;
    let removed = images.remove(&call.name, force, prune).await?;
    Ok(reply::ok(&convert::removed(removed)))
}
