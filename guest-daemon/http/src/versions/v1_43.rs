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
    let (tags, digests) = (json!(["<none>:<none>"]), json!(["<none>@<none>"]));
    let nothing = json!([]);
    if version < ApiVersion::new(1, 43)
        && image["RepoTags"] == nothing
        && image["RepoDigests"] == nothing
    {
        (image["RepoTags"], image["RepoDigests"]) = (tags, digests);
    }
}
