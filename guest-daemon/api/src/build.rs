//! `/build`.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CachePruned {
    pub caches_deleted: Option<Vec<String>>,
    pub space_reclaimed: u64,
}
