//! `GET /system/df`.

use engine::system::{ContainerUsage, DiskUsage, Measured, VolumeUsage};
use engine_api::system::DiskUsage as ApiDiskUsage;
use engine_api::volume::{UsageData, Volume};

use crate::containers::convert::{mounts, summary};
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::{images, versions, volumes};

pub(crate) async fn df(call: Call) -> Result<Reply, HttpError> {
    let wanted = versions::disk_usage_types(call.version, call.query.all("type"));
    let (measured, build_cache) = measured(&wanted)?;
    let engine = call.engine();
    let now = engine.system.info()?.now;
    let usage = engine.system.disk_usage(measured).await?;
    let mut document = serde_json::to_value(to_api(usage, build_cache, now))
        .map_err(|error| HttpError::internal(format!("encoding the disk usage: {error}")))?;
    for image in document["Images"].as_array_mut().into_iter().flatten() {
        versions::image_usage(call.version, image);
    }
    Ok(reply::ok(&document))
}

/// All kinds, when none is named. The second value is about the build cache.
fn measured(wanted: &[String]) -> Result<(Measured, bool), HttpError> {
    const KINDS: [&str; 4] = ["container", "image", "volume", "build-cache"];
    if let Some(other) = wanted.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(HttpError::invalid(format!("unknown object type: {other}")));
    }
    let has = |kind: &str| wanted.is_empty() || wanted.iter().any(|other| other == kind);
    let measured =
        Measured { images: has("image"), containers: has("container"), volumes: has("volume") };
    Ok((measured, has("build-cache")))
}

fn to_api(usage: DiskUsage, build_cache: bool, now: i128) -> ApiDiskUsage {
    let container = |usage: &ContainerUsage| {
        let container = &usage.container;
        let mut summary = summary::to_api(container, &container.config.image, &[], now);
        (summary.size_rw, summary.size_root_fs) = (usage.written, usage.whole);
        // Here it is said where volumes are.
        summary.mounts = mounts::points_to_api(&container.mounts);
        summary
    };
    ApiDiskUsage {
        layers_size: usage.layers,
        images: usage.images.map(|all| all.iter().map(images::convert::summary).collect()),
        containers: usage.containers.map(|all| all.iter().map(container).collect()),
        volumes: usage.volumes.map(|all| all.into_iter().map(volume).collect()),
        build_cache: build_cache.then(Vec::new),
    }
}

fn volume(usage: VolumeUsage) -> Volume {
    let size = usage.size.and_then(|size| i64::try_from(size).ok()).unwrap_or(-1);
    let usage_data = UsageData { ref_count: count(usage.users), size };
    Volume { usage_data: Some(usage_data), ..volumes::convert::to_api(usage.volume) }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
