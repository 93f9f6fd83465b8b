//! What older API versions expect differently, one file per version in which it changed.
//!
//! **Invariant:** no other module compares versions.

mod v1_42;
mod v1_44;
mod v1_49;
mod v1_50;
mod v1_51;

pub(crate) use v1_42::{disk_usage_types, stream_media_type, volume_prune_filters};

use serde_json::Value;

use crate::version::ApiVersion;

/// `/images/{name}/json` in the words of `version`.
pub(crate) fn image_inspect(version: ApiVersion, document: &mut Value) {
    v1_44::add_virtual_size(version, document);
    v1_50::fill_image_config(version, document);
}

/// One image of `/images/json` in the words of `version`.
pub(crate) fn image_summary(version: ApiVersion, document: &mut Value) {
    v1_44::add_virtual_size(version, document);
    v1_51::hide_containers(version, document);
}

/// `/info` in the words of `version`.
pub(crate) fn info(version: ApiVersion, document: &mut Value) {
    v1_49::add_expected_commits(version, document);
    v1_50::add_bridge_netfilter(version, document);
}

#[cfg(test)]
mod tests;
