//! `POST /networks/prune`: the networks that always exist are never pruned, and there are no
//! others.

use engine_api::network::NetworksPruned;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn prune(call: Call) -> Result<Reply, HttpError> {
    call.filters()?;
    Ok(reply::ok(&NetworksPruned::default()))
}
