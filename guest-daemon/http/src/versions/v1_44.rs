//! 1.44: images no longer have a `VirtualSize`, which had long been the same as `Size`, and
//! say nothing when they do not know when they were made; containers are made with several networks, each with its own MAC address, and checked more often while
//! they start.

use engine_api::container::NetworkingConfig;
use engine_api::container_config::ContainerConfig;
use engine_api::host_config::HostConfig;
use serde_json::Value;

use crate::error::HttpError;
use crate::times;
use crate::version::ApiVersion;

const SINCE: ApiVersion = ApiVersion::new(1, 44);

pub(super) fn add_virtual_size(version: ApiVersion, document: &mut Value) {
    if version < SINCE
        && let Some(fields) = document.as_object_mut()
        && let Some(size) = fields.get("Size").cloned()
    {
        fields.insert("VirtualSize".to_owned(), size);
    }
}

/// An image that does not say when it was made was made at the beginning of time.
pub(super) fn add_created(version: ApiVersion, document: &mut Value) {
    if version < SINCE
        && let Some(fields) = document.as_object_mut()
    {
        fields.entry("Created").or_insert_with(|| times::rfc3339_or_never(None).into());
    }
}

pub(super) fn create(
    version: ApiVersion,
    config: &mut ContainerConfig,
    host: &HostConfig,
    networking: &mut NetworkingConfig,
) -> Result<Option<String>, HttpError> {
    let has_own_address = !config.mac_address.is_empty();
    if version >= SINCE {
        return Ok(has_own_address.then(|| {
            "The container-wide MacAddress field is now deprecated. It should be specified in \
             EndpointsConfig instead."
                .to_owned()
        }));
    }
    if let Some(health) = &mut config.healthcheck {
        health.start_interval = 0;
    }
    let mut binds = host.mounts.iter().flatten().filter_map(|mount| mount.bind_options.as_ref());
    if binds.any(|bind| bind.read_only_force_recursive) {
        return Err(HttpError::invalid(
            "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer",
        ));
    }
    let endpoints = networking.endpoints_config.get_or_insert_default();
    if endpoints.len() > 1 {
        let names: Vec<&str> = endpoints.keys().map(String::as_str).collect();
        return Err(HttpError::invalid(format!(
            "Container cannot be created with multiple network endpoints: {}",
            names.join(", ")
        )));
    }
    let mode = host.network_mode.as_str();
    if has_own_address && (matches!(mode, "host" | "none") || mode.starts_with("container:")) {
        return Err(HttpError::invalid("conflicting options: mac-address and the network mode"));
    }
    for endpoint in endpoints.values_mut().flatten() {
        endpoint.mac_address.clear();
    }
    Ok(None)
}
