//! `GET /containers/json`.

use engine::containers::ListContainers;

use super::convert::summary;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::versions;

pub(crate) async fn list(call: Call) -> Result<Reply, HttpError> {
    let limit: Option<i64> = call.query.number("limit")?;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    let request = ListContainers { all: call.query.flag("all"), limit, filters: call.filters()? };
    let engine = call.engine();
    let now = engine.system.now();
    let mut containers = Vec::new();
    for listed in engine.containers.list(&request)? {
        let mut summary = summary::to_api(&listed, &listed.image, &listed.link_names, now);
        if call.query.flag("size") {
            // One that was removed meanwhile has no size; the list is still worth having.
            (summary.size_rw, summary.size_root_fs) =
                engine.containers.size(&listed.id).await.unwrap_or_default();
        }
        versions::container_summary(call.version, &mut summary);
        containers.push(summary);
    }
    Ok(reply::ok(&containers))
}
