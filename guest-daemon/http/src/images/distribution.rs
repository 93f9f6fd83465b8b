//! `GET /distribution/{name}/json`: what a registry has under a name.

use engine_api::registry::{Descriptor, DistributionInspect, Platform};

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn distribution(call: Call) -> Result<Reply, HttpError> {
    let found = call.engine().images.distribution(&call.name, &call.credentials()).await?;
    let platforms: Vec<Platform> = found
        .platforms
        .into_iter()
        .map(|platform| Platform {
            architecture: platform.architecture,
            os: platform.os,
            os_version: platform.os_version,
            os_features: platform.os_features,
            variant: platform.variant,
        })
        .collect();
    Ok(reply::ok(&DistributionInspect {
        descriptor: Descriptor {
            media_type: found.descriptor.media_type,
            digest: found.descriptor.digest,
            size: found.descriptor.size,
        },
        platforms: Some(platforms).filter(|platforms| !platforms.is_empty()),
    }))
}
