//! 1.32: an image is pulled and imported for a platform.

use crate::version::ApiVersion;

pub(crate) fn pull_platform(version: ApiVersion, asked: &str) -> &str {
    if version < ApiVersion::new(1, 32) { "" } else { asked }
}
