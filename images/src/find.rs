//! Where the image of this machine's architecture lies.

use std::path::{Path, PathBuf};

use crate::{Error, manifest};

/// The architecture of this host and so of its guests, as the image directories are called.
pub const fn architecture() -> &'static str {
    std::env::consts::ARCH
}

/// Places to look for an image in.
#[derive(Clone, Debug)]
pub struct Location {
    candidates: Vec<PathBuf>,
}

impl Location {
    /// Only `chosen` when the user names a directory (`MACHINE_IMAGE_DIR`); otherwise where a
    /// package installs it and where the build puts it, seen from the executable.
    pub fn new(chosen: Option<PathBuf>, executable: &Path) -> Self {
        let candidates = match chosen {
            Some(directory) => vec![directory],
            None => {
                let beside = executable.parent().unwrap_or(Path::new("/"));
                let prefix = beside.parent().unwrap_or(beside);
                vec![
                    prefix.join("share/machine/image").join(architecture()),
                    beside.join("image").join(architecture()),
                ]
            }
        };
        Self { candidates }
    }

    /// The first place that has a manifest.
    pub fn find(&self) -> Result<PathBuf, Error> {
        self.candidates
            .iter()
            .find(|directory| directory.join(manifest::FILE_NAME).is_file())
            .cloned()
            .ok_or_else(|| Error::Missing { searched: self.candidates.clone() })
    }
}
