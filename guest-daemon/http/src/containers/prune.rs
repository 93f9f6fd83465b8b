//! `POST /containers/prune`.

use engine_api::container::ContainersPruned;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn prune(call: Call) -> Result<Reply, HttpError> {
    let (ids, space_reclaimed) = call.engine().containers.prune(&call.filters()?).await?;
    let containers_deleted = Some(ids).filter(|ids| !ids.is_empty());
    Ok(reply::ok(&ContainersPruned { containers_deleted, space_reclaimed }))
}
