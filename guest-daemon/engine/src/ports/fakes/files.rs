//! A container's files without its image and mounts: what it wrote itself.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::ports::{ContainerFiles, FilesSpec};

pub(super) struct FakeFiles(File);

impl FakeFiles {
    pub(super) fn open(spec: &FilesSpec) -> Result<Arc<dyn ContainerFiles>> {
        let root = File::open(&spec.root.upper)
            .map_err(|error| Error::internal("cannot open the container's files", error))?;
        Ok(Arc::new(Self(root)))
    }
}

impl ContainerFiles for FakeFiles {
    fn root(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Knows numbers only.
    fn identity(&self, user: &str) -> Result<(u32, u32)> {
        let (user, group) = user.split_once(':').unwrap_or((user, "0"));
        let number = |text: &str| {
            text.parse().map_err(|_| {
                let text =
                    format!("unable to find user {text}: no matching entries in passwd file");
                Error::invalid(text)
            })
        };
        Ok((number(user)?, number(group)?))
    }
}
