//! 1.43: containers have annotations, which lists show since 1.46, and an image without a name has
//! none.

use engine_api::container::Summary;
use engine_api::host_config::HostConfig;
use serde_json::{Value, json};

use crate::version::ApiVersion;

pub(super) fn create(version: ApiVersion, host: &mut HostConfig) {
    if version < ApiVersion::new(1, 43) {
        host.annotations = None;
    }
}

pub(super) fn summary(version: ApiVersion, summary: &mut Summary) {
    if version < ApiVersion::new(1, 46) {
        summary.host_config.annotations = None;
    }
}

/// Before, it had names that said so.
pub(super) fn name_the_nameless(version: ApiVersion, image: &mut Value) {
    if version >= ApiVersion::new(1, 43) {
        return;
    }
    no_empty_names(image);
    if image["RepoTags"].is_null() && image["RepoDigests"].is_null() {
        image["RepoTags"] = json!(["<none>:<none>"]);
        image["RepoDigests"] = json!(["<none>@<none>"]);
    }
}

/// An empty list is `null`, as it still is in `/system/df`.
pub(super) fn no_empty_names(image: &mut Value) {
    for field in ["RepoTags", "RepoDigests"] {
        if image[field].as_array().is_some_and(Vec::is_empty) {
            image[field] = Value::Null;
        }
    }
}
