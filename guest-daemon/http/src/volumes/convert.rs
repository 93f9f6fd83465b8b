//! Volumes between the wire and the engine.

use engine::volumes::{CreateVolume, Volume};
use engine_api::volume as api;

use crate::times;

pub(super) fn from_api(request: api::VolumeCreateRequest) -> CreateVolume {
    CreateVolume {
        name: request.name,
        driver: request.driver,
        labels: request.labels.unwrap_or_default(),
        options: request.driver_opts.unwrap_or_default(),
    }
}

pub(crate) fn to_api(volume: Volume) -> api::Volume {
    api::Volume {
        created_at: times::rfc3339_seconds(volume.created),
        driver: volume.driver,
        labels: Some(volume.labels).filter(|labels| !labels.is_empty()),
        mountpoint: volume.mountpoint,
        name: volume.name,
        options: Some(volume.options).filter(|options| !options.is_empty()),
        scope: "local".to_owned(),
        usage_data: None,
    }
}
