//! What older API versions expect differently, one file per version in which it changed.
//!
//! **Invariant:** no other module compares versions.

mod v1_25;
mod v1_28;
mod v1_32;
mod v1_34;
mod v1_40;
mod v1_41;
mod v1_42;
mod v1_43;
mod v1_44;
mod v1_45;
mod v1_46;
mod v1_48;
mod v1_49;
mod v1_50;
mod v1_51;

pub(crate) use v1_28::websocket_frames;
pub(crate) use v1_32::pull_platform;
pub(crate) use v1_34::wait_manners;
pub(crate) use v1_41::{create_platform, image_filters};
pub(crate) use v1_42::{
    console_size, counts_shared_size, disk_usage_types, stop_signal, stream_media_type,
    volume_prune_filters, websocket_stream,
};
pub(crate) use v1_46::{knows_event, knows_push_platform};
pub(crate) use v1_48::knows_platforms;
pub(crate) use v1_49::knows_inspect_platform;
pub(crate) use v1_50::knows_remove_platforms;

use engine_api::container::{CreateSurroundings, Summary};
use engine_api::container_config::ContainerConfig;
use engine_api::container_inspect::ContainerInspect;
use engine_api::host_config::HostConfig;
use serde_json::Value;

use crate::error::HttpError;
use crate::version::ApiVersion;

/// A request to create a container, from the words of `version` to today's. Returns warnings.
pub(crate) fn create(
    version: ApiVersion,
    config: &mut ContainerConfig,
    around: &mut CreateSurroundings,
) -> Result<Vec<String>, HttpError> {
    let host = around.host_config.get_or_insert_default();
    let networking = around.networking_config.get_or_insert_default();
    v1_25::create(version, host);
    v1_40::create(version, host);
    v1_42::create(version, host);
    v1_43::create(version, host);
    v1_45::create(version, host)?;
    let warnings = [
        v1_48::create(version, host, networking)?,
        v1_44::create(version, config, host, networking)?,
    ];
    Ok(warnings.into_iter().flatten().collect())
}

/// `/containers/{name}/json` in the words of `version`.
pub(crate) fn container_inspect(version: ApiVersion, document: &mut ContainerInspect) {
    v1_45::inspect(version, document);
}

/// One container of `/containers/json` in the words of `version`.
pub(crate) fn container_summary(version: ApiVersion, summary: &mut Summary) {
    v1_43::summary(version, summary);
}

/// `/images/{name}/json` in the words of `version`.
pub(crate) fn image_inspect(version: ApiVersion, document: &mut Value) {
    v1_44::add_virtual_size(version, document);
    v1_44::add_created(version, document);
    v1_45::image_container(version, document);
    v1_50::fill_image_config(version, document);
}

/// One image of `/images/json` in the words of `version`.
pub(crate) fn image_summary(version: ApiVersion, document: &mut Value) {
    v1_43::name_the_nameless(version, document);
    v1_44::add_virtual_size(version, document);
    v1_51::hide_containers(version, document);
}

/// One image of `/system/df` in the words of `version`.
pub(crate) fn image_usage(version: ApiVersion, document: &mut Value) {
    v1_43::no_empty_names(document);
    v1_44::add_virtual_size(version, document);
}

/// What `/containers/{id}/update` is asked for in the words of `version`.
pub(crate) fn update(version: ApiVersion, change: &mut HostConfig) {
    v1_40::update(version, change);
}

/// `/info` in the words of `version`.
pub(crate) fn info(version: ApiVersion, document: &mut Value) {
    v1_49::add_expected_commits(version, document);
    v1_50::add_bridge_netfilter(version, document);
}

#[cfg(test)]
mod tests;
