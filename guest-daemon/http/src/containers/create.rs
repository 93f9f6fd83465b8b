//! `POST /containers/create`.

use engine::containers::CreateContainer;
use engine_api::container::{CreateResponse, CreateSurroundings};
use engine_api::container_config::ContainerConfig;
use http::StatusCode;

use super::convert::{config, host_config, networks};
use crate::error::HttpError;
use crate::extract::{Call, decode};
use crate::reply::{self, Reply};
use crate::versions;

pub(crate) async fn create(mut call: Call) -> Result<Reply, HttpError> {
    let body = call.json_value().await?;
    // One document holds the configuration's own fields and, beside them, where it runs.
    let mut config: ContainerConfig = decode(&body)?;
    let mut surroundings: CreateSurroundings = decode(&body)?;
    if config == ContainerConfig::default() {
        return Err(HttpError::invalid("config cannot be empty in order to create a container"));
    }
    let mut warnings = versions::create(call.version, &mut config, &mut surroundings)?;
    let host = surroundings.host_config.unwrap_or_default();
    let networking = surroundings.networking_config.unwrap_or_default();
    let networks = networks::from_api(networking, &config.mac_address, &host.network_mode)?;
    let request = CreateContainer {
        name: call.query.get("name").filter(|name| !name.is_empty()).map(str::to_owned),
        config: config::from_api(config),
        host: host_config::from_api(host)?,
        networks,
        platform: versions::create_platform(call.version, call.query.text("platform")).to_owned(),
    };
    let created = call.engine().containers.create(request).await?;
    warnings.splice(0..0, created.warnings);
    let response = CreateResponse { id: created.id, warnings };
    Ok(reply::json(StatusCode::CREATED, &response))
}
