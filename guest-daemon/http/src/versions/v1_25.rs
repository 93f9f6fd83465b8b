//! 1.25: the engine removes containers that end; before, the client did.

use engine_api::host_config::HostConfig;

use crate::version::ApiVersion;

pub(super) fn create(version: ApiVersion, host: &mut HostConfig) {
    if version < ApiVersion::new(1, 25) {
        host.auto_remove = false;
    }
}
