//! The part of the runtime that shows a container's files.

use std::os::fd::BorrowedFd;

use super::{ImageFiles, RootFilesystem};
use crate::error::Result;

/// A container's files as its processes see them, tmpfs and the kernel's own file systems left
/// out. Open as long as the value lives; nothing is left behind after it.
pub trait ContainerFiles: Send + Sync {
    /// The container's root directory.
    fn root(&self) -> BorrowedFd<'_>;

    /// The numbers of a user and the main group, by the container's own files.
    fn identity(&self, user: &str) -> Result<(u32, u32)>;
}

/// What a container's files are made of.
#[derive(Clone, Debug, Default)]
pub struct FilesSpec {
    /// The container's id.
    pub id: String,
    pub root: RootFilesystem,
    /// In mounting order.
    pub mounts: Vec<FilesMount>,
    /// What is mounted first, where no process sees it, as mounts come from there.
    pub images: Vec<ImageFiles>,
}

/// A file or folder of the guest that is seen in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilesMount {
    pub source: String,
    /// An absolute path in the container.
    pub destination: String,
    /// What beneath the source is seen; empty is all.
    pub subpath: String,
    pub read_only: bool,
    /// Whether it is an error when the source is not there.
    pub required: bool,
}
