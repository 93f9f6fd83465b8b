//! 1.41: a container may be made for a platform.

use crate::version::ApiVersion;

pub(crate) fn create_platform(version: ApiVersion, asked: &str) -> &str {
    if version < ApiVersion::new(1, 41) { "" } else { asked }
}
