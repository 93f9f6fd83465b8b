//! 1.45: volumes may be mounted from a folder within, a network's aliases are the user's own, and an
//! image says nothing of the container that it was made from.

use engine_api::container_inspect::ContainerInspect;
use engine_api::host_config::HostConfig;
use serde_json::{Value, json};

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

/// An image told the container that it was made from, of late without saying what it was like.
pub(super) fn image_container(version: ApiVersion, document: &mut Value) {
    let Some(fields) = document.as_object_mut() else { return };
    if version >= SINCE {
        fields.remove("Container");
    } else {
        let empty = json!({
            "AttachStderr": false, "AttachStdin": false, "AttachStdout": false, "Cmd": null,
            "Domainname": "", "Entrypoint": null, "Env": null, "Hostname": "", "Image": "",
            "Labels": null, "OnBuild": null, "OpenStdin": false, "StdinOnce": false, "Tty": false,
            "User": "", "Volumes": null, "WorkingDir": "",
        });
        fields.insert("ContainerConfig".to_owned(), empty);
    }
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
