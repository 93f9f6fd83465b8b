//! The Docker Engine API's JSON: types only, one file per resource, as dockerd 28.5.2 (API 1.51)
//! reads and writes it.
//!
//! **Invariant:** no behaviour. `Option` around a list or map means that clients see `null` there;
//! `skip_serializing_if` means that the field is absent. Reading expects every field to default.

pub mod build;
pub mod container;
pub mod container_config;
pub mod container_inspect;
pub mod error;
pub mod event;
pub mod exec;
pub mod host_config;
pub mod image;
pub mod network;
pub mod progress;
pub mod registry;
pub mod stats;
pub mod string_list;
pub mod system;
pub mod volume;

/// A Go map that stands for a set, or a JSON object without fields: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Empty {}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A Go map with `omitempty`: absent when there is nothing in it.
pub(crate) fn is_empty_map<K, V>(value: &Option<std::collections::BTreeMap<K, V>>) -> bool {
    value.as_ref().is_none_or(std::collections::BTreeMap::is_empty)
}

/// A Go slice with `omitempty`: absent when there is nothing in it.
pub(crate) fn is_empty_list<T>(value: &Option<Vec<T>>) -> bool {
    value.as_ref().is_none_or(Vec::is_empty)
}
