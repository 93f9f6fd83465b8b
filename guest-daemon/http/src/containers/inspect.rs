//! `GET /containers/{id}/json`.

use super::convert::inspect;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::versions;

pub(crate) async fn inspect(call: Call) -> Result<Reply, HttpError> {
    let engine = call.engine();
    let container = engine.containers.inspect(&call.name)?;
    let mut document = inspect::to_api(&container);
    if call.query.flag("size") {
        let (written, altogether) = engine.containers.size(&container.id).await?;
        (document.size_rw, document.size_root_fs) = (Some(written), Some(altogether));
    }
    versions::container_inspect(call.version, &mut document);
    Ok(reply::ok(&document))
}
