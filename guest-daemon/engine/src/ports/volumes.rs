//! The part of the runtime that mounts what volumes are.

use std::path::PathBuf;

/// A file system that a volume is, in the words of mount(8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeMount {
    pub path: PathBuf,
    /// `tmpfs`, `:/exported`, a folder, …
    pub device: String,
    /// `tmpfs`, `nfs`, `none`, …
    pub kind: String,
    /// With commas between them.
    pub options: String,
}
