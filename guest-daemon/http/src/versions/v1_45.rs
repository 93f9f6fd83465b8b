//! 1.45: volumes may be mounted from a folder within, and a network's aliases are the user's own.

use engine_api::container_inspect::ContainerInspect;
use engine_api::host_config::HostConfig;

use crate::error::HttpError;
use crate::version::ApiVersion;

const SINCE: ApiVersion = ApiVersion::new(1, 45);

pub(super) fn create(version: ApiVersion, host: &HostConfig) -> Result<(), HttpError> {
    let mut options =
        host.mounts.iter().flatten().filter_map(|mount| mount.volume_options.as_ref());
    if version < SINCE && options.any(|options| !options.subpath.is_empty()) {
        return Err(HttpError::invalid("VolumeOptions.Subpath needs API v1.45 or newer"));
    }
    Ok(())
}

/// The short id and the host's name were among the aliases.
pub(super) fn inspect(version: ApiVersion, document: &mut ContainerInspect) {
    if version >= SINCE {
        return;
    }
    let short = document.id.get(..12).unwrap_or(&document.id).to_owned();
    let more = [short, document.config.hostname.clone()];
    for (name, endpoint) in &mut document.network_settings.networks {
        if matches!(name.as_str(), "bridge" | "host" | "none") {
            continue;
        }
        let aliases = endpoint.aliases.get_or_insert_default();
        for alias in &more {
            if !aliases.contains(alias) {
                aliases.push(alias.clone());
            }
        }
    }
}
