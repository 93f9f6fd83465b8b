//! Mounts as they are asked for, and as they are.

use engine::config::MountRequest;
use engine::containers::MountPoint;
use engine_api::container_inspect as inspect;
use engine_api::host_config as api;

use crate::error::HttpError;

pub(super) fn requests_from_api(
    mounts: Option<Vec<api::Mount>>,
) -> Result<Vec<MountRequest>, HttpError> {
    mounts.into_iter().flatten().map(request_from_api).collect()
}

fn request_from_api(mount: api::Mount) -> Result<MountRequest, HttpError> {
    let kind = mount.kind.as_str();
    for (name, given, own) in [
        ("VolumeOptions", mount.volume_options.is_some(), "volume"),
        ("BindOptions", mount.bind_options.is_some(), "bind"),
        ("TmpfsOptions", mount.tmpfs_options.is_some(), "tmpfs"),
    ] {
        if given && kind != own {
            return Err(HttpError::invalid(format!(
                "{name} must not be specified on mount type {kind:?}"
            )));
        }
    }
    if mount.image_options.is_some() && kind != "image" {
        return Err(HttpError::invalid(format!(
            "invalid mount config for type {kind:?}: field ImageOptions must not be specified"
        )));
    }
    let has_options = mount.bind_options.is_some()
        || mount.volume_options.is_some()
        || mount.image_options.is_some()
        || mount.tmpfs_options.is_some();
    let bind = mount.bind_options.unwrap_or_default();
    let volume = mount.volume_options.unwrap_or_default();
    let has_volume_driver = volume.driver_config.is_some();
    let driver = volume.driver_config.unwrap_or_default();
    let tmpfs = mount.tmpfs_options.unwrap_or_default();
    Ok(MountRequest {
        kind: mount.kind,
        source: mount.source,
        target: mount.target,
        read_only: mount.read_only,
        consistency: mount.consistency,
        has_options,
        has_volume_driver,
        volume_labels: volume.labels.unwrap_or_default(),
        volume_no_copy: volume.no_copy,
        volume_driver: driver.name,
        volume_driver_options: driver.options.unwrap_or_default(),
        volume_subpath: volume.subpath,
        image_subpath: mount.image_options.unwrap_or_default().subpath,
        tmpfs_size_bytes: tmpfs.size_bytes,
        tmpfs_mode: tmpfs.mode,
        tmpfs_options: tmpfs.options.unwrap_or_default(),
        bind_propagation: bind.propagation,
        bind_non_recursive: bind.non_recursive,
        bind_create_mountpoint: bind.create_mountpoint,
        bind_read_only_non_recursive: bind.read_only_non_recursive,
        bind_read_only_force_recursive: bind.read_only_force_recursive,
    })
}

pub(super) fn request_to_api(mount: &MountRequest) -> api::Mount {
    let bind = api::BindOptions {
        propagation: mount.bind_propagation.clone(),
        non_recursive: mount.bind_non_recursive,
        create_mountpoint: mount.bind_create_mountpoint,
        read_only_non_recursive: mount.bind_read_only_non_recursive,
        read_only_force_recursive: mount.bind_read_only_force_recursive,
    };
    let driver = api::VolumeDriver {
        name: mount.volume_driver.clone(),
        options: Some(mount.volume_driver_options.clone()),
    };
    let volume = api::VolumeOptions {
        no_copy: mount.volume_no_copy,
        labels: Some(mount.volume_labels.clone()).filter(|labels| !labels.is_empty()),
        subpath: mount.volume_subpath.clone(),
        driver_config: mount.has_volume_driver.then_some(driver),
    };
    let image = api::ImageOptions { subpath: mount.image_subpath.clone() };
    let tmpfs = api::TmpfsOptions {
        size_bytes: mount.tmpfs_size_bytes,
        mode: mount.tmpfs_mode,
        options: Some(mount.tmpfs_options.clone()).filter(|options| !options.is_empty()),
    };
    let has = |kind: &str| mount.has_options && mount.kind == kind;
    api::Mount {
        kind: mount.kind.clone(),
        source: mount.source.clone(),
        target: mount.target.clone(),
        read_only: mount.read_only,
        consistency: mount.consistency.clone(),
        bind_options: has("bind").then_some(bind),
        volume_options: has("volume").then_some(volume),
        image_options: has("image").then_some(image),
        tmpfs_options: has("tmpfs").then_some(tmpfs),
    }
}

/// A list does not say where volumes are.
pub(super) fn listed_to_api(mounts: &[MountPoint]) -> Vec<inspect::MountPoint> {
    let mut points = points_to_api(mounts);
    for point in points.iter_mut().filter(|point| point.kind == "volume") {
        point.source.clear();
    }
    points
}

pub(crate) fn points_to_api(mounts: &[MountPoint]) -> Vec<inspect::MountPoint> {
    let point = |mount: &MountPoint| inspect::MountPoint {
        kind: mount.kind.clone(),
        name: mount.name.clone(),
        source: mount.source.clone(),
        destination: mount.destination.clone(),
        driver: mount.driver.clone(),
        mode: mount.mode.clone(),
        read_write: mount.read_write,
        propagation: mount.propagation.clone(),
    };
    mounts.iter().map(point).collect()
}
