//! 1.43: containers have annotations, which lists show since 1.46.

use engine_api::container::Summary;
use engine_api::host_config::HostConfig;

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
