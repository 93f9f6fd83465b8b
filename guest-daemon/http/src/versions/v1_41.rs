//! 1.41: a container may be made for a platform, and images are only filtered by `filters`.

use std::collections::BTreeMap;

use crate::version::ApiVersion;

const SINCE: ApiVersion = ApiVersion::new(1, 41);

pub(crate) fn create_platform(version: ApiVersion, asked: &str) -> &str {
    if version < SINCE { "" } else { asked }
}

/// Before, names of images had a parameter of their own.
pub(crate) fn image_filters(
    version: ApiVersion,
    name: &str,
    filters: &mut BTreeMap<String, Vec<String>>,
) {
    if version < SINCE && !name.is_empty() {
        filters.entry("reference".to_owned()).or_default().push(name.to_owned());
    }
}
