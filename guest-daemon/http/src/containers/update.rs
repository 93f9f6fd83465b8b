//! `POST /containers/{id}/update`.

use engine::config::HostConfig;
use engine_api::container::UpdateResponse;
use engine_api::host_config as api;

use super::convert::host_config;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::versions;

pub(crate) async fn update(mut call: Call) -> Result<Reply, HttpError> {
    // What can be changed are some of the fields of a host configuration.
    let mut change: api::HostConfig = call.json().await?;
    versions::update(call.version, &mut change);
    // Here 0 and less take a limit away.
    let pids_limit = change.pids_limit.map(|limit| limit.max(0));
    let change = HostConfig { pids_limit, ..host_config::from_api(change)? };
    let warnings = call.engine().containers.update(&call.name, change).await?;
    let warnings = (!warnings.is_empty()).then_some(warnings);
    Ok(reply::ok(&UpdateResponse { warnings }))
}
