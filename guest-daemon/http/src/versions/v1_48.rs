//! 1.48: endpoints have priorities and settings of their links, images can be mounted, a driver that counts for no volume is
//! warned of, and images are saved and loaded for a platform, as their history is asked for.

use engine_api::container::NetworkingConfig;
use engine_api::host_config::HostConfig;

use crate::error::HttpError;
use crate::version::ApiVersion;

pub(super) fn create(
    version: ApiVersion,
    host: &HostConfig,
    networking: &mut NetworkingConfig,
) -> Result<Option<String>, HttpError> {
    if version < ApiVersion::new(1, 48) {
        let endpoints = networking.endpoints_config.iter_mut().flat_map(|all| all.values_mut());
        for endpoint in endpoints.flatten() {
            endpoint.gw_priority = 0;
        }
        if host.mounts.iter().flatten().any(|mount| mount.kind == "image") {
            return Err(HttpError::invalid("Mount type \"Image\" needs API v1.48 or newer"));
        }
        return Ok(None);
    }
    let of_a_link = |name: &&String| {
        let parts: Vec<&str> = name.splitn(5, '.').collect();
        matches!(parts.as_slice(), ["net", _, _, link, _] if link.starts_with("eth"))
    };
    let has_links = !matches!(host.network_mode.as_str(), "host" | "none")
        && !host.network_mode.starts_with("container:");
    if has_links && let Some(name) = host.sysctls.iter().flat_map(|all| all.keys()).find(of_a_link)
    {
        return Err(HttpError::invalid(format!(
            "interface specific sysctl setting {name:?} must be supplied using driver option \
             'com.docker.network.endpoint.sysctls'"
        )));
    }
    let undriven = host.mounts.iter().flatten().any(|mount| {
        let driver = mount.volume_options.as_ref().and_then(|volume| volume.driver_config.as_ref());
        mount.kind == "volume" && driver.is_none_or(|driver| driver.name.is_empty())
    });
    Ok((undriven && !host.volume_driver.is_empty()).then(|| {
        "WARNING: the container-wide volume-driver configuration is ignored for volumes specified \
         via 'mount'. Use '--mount type=volume,volume-driver=...' instead"
            .to_owned()
    }))
}

pub(crate) fn knows_platforms(version: ApiVersion) -> bool {
    version >= ApiVersion::new(1, 48)
}
