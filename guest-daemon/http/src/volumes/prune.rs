//! `POST /volumes/prune`.

use engine_api::volume::VolumesPruned;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::versions;

pub(crate) async fn prune(call: Call) -> Result<Reply, HttpError> {
    let mut filters = call.filters()?;
    versions::volume_prune_filters(call.version, &mut filters);
    let (names, space_reclaimed) = call.engine().volumes.prune(&filters).await?;
    let volumes_deleted = Some(names).filter(|names| !names.is_empty());
    Ok(reply::ok(&VolumesPruned { volumes_deleted, space_reclaimed }))
}
