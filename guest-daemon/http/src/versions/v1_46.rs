//! 1.46: making an image is an event.

use crate::version::ApiVersion;

pub(crate) fn knows_event(version: ApiVersion, kind: &str, action: &str) -> bool {
    version >= ApiVersion::new(1, 46) || (kind, action) != ("image", "create")
}
