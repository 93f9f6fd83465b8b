//! 1.51: the list of images says how many containers each has.

use serde_json::{Value, json};

use crate::version::ApiVersion;

pub(super) fn hide_containers(version: ApiVersion, document: &mut Value) {
    if version < ApiVersion::new(1, 51)
        && let Some(containers) = document.get_mut("Containers")
    {
        *containers = json!(-1);
    }
}
