//! `POST /images/prune`.

use super::convert;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn prune(call: Call) -> Result<Reply, HttpError> {
    let (removed, space_reclaimed) = call.engine().images.prune(&call.filters()?).await?;
    Ok(reply::ok(&convert::pruned(removed, space_reclaimed)))
}
