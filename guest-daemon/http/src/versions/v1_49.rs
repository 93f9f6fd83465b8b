//! 1.49: `/info` no longer says which commits of other programs were expected, and an image is inspected
//! for a platform.

use serde_json::Value;

use crate::version::ApiVersion;

/// Old clients complain when the two differ.
pub(super) fn add_expected_commits(version: ApiVersion, document: &mut Value) {
    if version >= ApiVersion::new(1, 49) {
        return;
    }
    for name in ["ContainerdCommit", "RuncCommit", "InitCommit"] {
        if let Some(commit) = document.get_mut(name).and_then(Value::as_object_mut)
            && let Some(id) = commit.get("ID").cloned()
        {
            commit.insert("Expected".to_owned(), id);
        }
    }
}

pub(crate) fn knows_inspect_platform(version: ApiVersion) -> bool {
    version >= ApiVersion::new(1, 49)
}
