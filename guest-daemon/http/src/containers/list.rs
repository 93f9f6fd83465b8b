//! `GET /containers/json`.

use engine::containers::ListContainers;

use super::convert::summary;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn list(call: Call) -> Result<Reply, HttpError> {
    let limit: Option<i64> = call.query.number("limit")?;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    let request = ListContainers {
        // `docker ps -n 1` means the last one created, whether it runs or not.
        all: call.query.flag("all") || limit.is_some(),
        limit,
        filters: call.filters()?,
    };
    let engine = call.engine();
    let now = engine.system.info()?.now;
    let mut containers = Vec::new();
    for container in engine.containers.list(&request)? {
        let mut summary = summary::to_api(&container, now);
        if call.query.flag("size") {
            // One that was removed meanwhile has no size; the list is still worth having.
            (summary.size_rw, summary.size_root_fs) =
                engine.containers.size(&container.id).await.unwrap_or_default();
        }
        containers.push(summary);
    }
    Ok(reply::ok(&containers))
}
