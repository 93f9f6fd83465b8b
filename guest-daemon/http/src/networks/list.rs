//! `GET /networks`.

use std::collections::BTreeMap;

use engine_api::network::Network;

use super::convert;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn list(call: Call) -> Result<Reply, HttpError> {
    let networks = call.engine().networks.list(&call.filters()?)?;
    // Who is on a network is only told about one network.
    let without_members =
        |network| Network { containers: BTreeMap::new(), ..convert::to_api(network) };
    let networks: Vec<_> = networks.into_iter().map(without_members).collect();
    Ok(reply::ok(&networks))
}
