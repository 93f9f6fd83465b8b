//! Files of a layer whose place a later entry of the same archive takes. No container sees them,
//! but they are parts of the archive: they stay beside the layer, named by their inodes.
//!
//! **Invariant:** while an archive is unpacked no file with content is removed, so no inode of one
//! is used twice.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, RenameFlags};
use rustix::io::Errno;

use crate::trees;

/// Where such files go. The folder is made for the first of them.
#[derive(Debug)]
pub(crate) struct Aside {
    place: PathBuf,
    folder: Option<OwnedFd>,
}

impl Aside {
    pub(crate) fn new(place: PathBuf) -> Self {
        Self { place, folder: None }
    }

    /// Takes a name away, with all that is below it.
    pub(crate) fn put(&mut self, above: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        let mut keep = |folder: BorrowedFd<'_>, name: &Path| self.keep(folder, name);
        Ok(trees::remove_with(above, name, &mut keep)?)
    }

    fn keep(&mut self, above: BorrowedFd<'_>, name: &Path) -> Result<(), Errno> {
        let stat = match rustix::fs::statat(above, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            other => other?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::RegularFile || stat.st_size == 0 {
            return Ok(());
        }
        let inode = PathBuf::from(stat.st_ino.to_string());
        let only_new = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(above, name, self.folder()?, &inode, only_new) {
            // Another name of this very file was here before.
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn folder(&mut self) -> Result<&OwnedFd, Errno> {
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None => {
                match rustix::fs::mkdir(&self.place, Mode::from_raw_mode(0o700)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error),
                }
                trees::open_directory(&self.place)?
            }
        };
        Ok(self.folder.insert(folder))
    }
}
