//! 1.46: making an image is an event, and an image is pushed for a platform.

use crate::version::ApiVersion;

pub(crate) fn knows_event(version: ApiVersion, kind: &str, action: &str) -> bool {
    version >= ApiVersion::new(1, 46) || (kind, action) != ("image", "create")
}

pub(crate) fn knows_push_platform(version: ApiVersion) -> bool {
    version >= ApiVersion::new(1, 46)
}
