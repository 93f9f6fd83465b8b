//! Mounts as they are asked for, and as they are.

use engine::config::MountRequest;
use engine::containers::MountPoint;
use engine_api::container_inspect as inspect;
use engine_api::host_config as api;

use crate::error::HttpError;

pub(super) fn request_from_api(mount: api::Mount) -> Result<MountRequest, HttpError> {
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
    let bind = mount.bind_options.unwrap_or_default();
    let volume = mount.volume_options.unwrap_or_default();
    let driver = volume.driver_config.unwrap_or_default();
    let tmpfs = mount.tmpfs_options.unwrap_or_default();
    let asked = [
        ("BindOptions.NonRecursive", bind.non_recursive),
        ("BindOptions.ReadOnlyNonRecursive", bind.read_only_non_recursive),
        ("BindOptions.ReadOnlyForceRecursive", bind.read_only_force_recursive),
        ("VolumeOptions.Subpath", !volume.subpath.is_empty()),
        ("VolumeOptions.DriverConfig.Options", !driver.options.unwrap_or_default().is_empty()),
        ("TmpfsOptions.Options", !tmpfs.options.unwrap_or_default().is_empty()),
    ];
    if let Some((name, _)) = asked.iter().find(|(_, asked)| *asked) {
        return Err(HttpError::unbuilt(&format!("the mount option {name}")));
    }
    Ok(MountRequest {
        kind: mount.kind,
        source: mount.source,
        target: mount.target,
        read_only: mount.read_only,
        volume_labels: volume.labels.unwrap_or_default(),
        volume_no_copy: volume.no_copy,
        volume_driver: driver.name,
        tmpfs_size_bytes: tmpfs.size_bytes,
        tmpfs_mode: tmpfs.mode,
        bind_propagation: bind.propagation,
    })
}

pub(super) fn request_to_api(mount: &MountRequest) -> api::Mount {
    let bind = api::BindOptions {
        propagation: mount.bind_propagation.clone(),
        ..api::BindOptions::default()
    };
    let driver = api::VolumeDriver { name: mount.volume_driver.clone(), options: None };
    let volume = api::VolumeOptions {
        no_copy: mount.volume_no_copy,
        labels: Some(mount.volume_labels.clone()).filter(|labels| !labels.is_empty()),
        subpath: String::new(),
        driver_config: Some(driver).filter(|driver| !driver.name.is_empty()),
    };
    let tmpfs = api::TmpfsOptions {
        size_bytes: mount.tmpfs_size_bytes,
        mode: mount.tmpfs_mode,
        options: None,
    };
    api::Mount {
        kind: mount.kind.clone(),
        source: mount.source.clone(),
        target: mount.target.clone(),
        read_only: mount.read_only,
        consistency: String::new(),
        bind_options: Some(bind).filter(|options| *options != Default::default()),
        volume_options: Some(volume).filter(|options| *options != Default::default()),
        tmpfs_options: Some(tmpfs).filter(|options| *options != Default::default()),
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

pub(super) fn points_to_api(mounts: &[MountPoint]) -> Vec<inspect::MountPoint> {
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
