//! 1.44: images no longer have a `VirtualSize`, which had long been the same as `Size`.

use serde_json::Value;

use crate::version::ApiVersion;

pub(super) fn add_virtual_size(version: ApiVersion, document: &mut Value) {
    if version < ApiVersion::new(1, 44)
        && let Some(fields) = document.as_object_mut()
        && let Some(size) = fields.get("Size").cloned()
    {
        fields.insert("VirtualSize".to_owned(), size);
    }
}
