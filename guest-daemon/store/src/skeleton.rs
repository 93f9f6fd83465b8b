//! The lowest layer of every container: what is there although no image has it. Being a layer, it
//! is no change of the container's.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::Path;

use crate::Store;
use crate::error::{Result, StoreError};
use crate::{atomic, trees};

const FOLDERS: [&str; 6] = ["dev", "dev/pts", "dev/shm", "etc", "proc", "sys"];
/// Programs look for the first one to find out where they run; the others are mounted over.
const FILES: [&str; 5] =
    [".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"];

impl Store {
    /// Makes it where it is missing.
    pub(crate) fn make_skeleton(&self) -> Result<()> {
        let place = self.layout().skeleton();
        if place.exists() {
            return Ok(());
        }
        let folder = self.temporary("skeleton");
        let failed = || StoreError::io("make the lowest layer");
        fill(&folder).map_err(failed())?;
        let made = trees::open_directory(&folder).map_err(|error| failed()(error.into()))?;
        rustix::fs::syncfs(&made).map_err(|error| failed()(error.into()))?;
        fs::rename(&folder, &place).map_err(failed())?;
        atomic::sync_folder(self.layout().root())
    }
}

fn fill(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.mode(0o755);
    builder.create(folder)?;
    for name in FOLDERS {
        builder.create(folder.join(name))?;
    }
    for name in FILES {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o755).open(folder.join(name))?;
    }
    symlink("/proc/mounts", folder.join("etc/mtab"))
}
