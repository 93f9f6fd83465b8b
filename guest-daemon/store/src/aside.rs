//! Files of a layer whose place a later entry of the same archive takes. No container sees them,
//! but they are parts of the archive: they stay beside the layer, named by their inodes.
//!
//! **Invariant:** while an archive is unpacked no file with content is removed, so no inode of one
//! is used twice.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use crate::walk::{self, Tree};
use crate::{beneath, trees};

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
        let stat = match rustix::fs::statat(above, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            other => other?,
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let top = beneath::open_child(above, name, flags)?;
            let walked = vec![top.try_clone()?];
            walk::walk(Tree::OneLayer, walked, &mut |path, _, stat| {
                self.keep(top.as_fd(), path, stat)
            })?;
        } else {
            self.keep(above, name, &stat)?;
        }
        Ok(trees::remove_at(above, name)?)
    }

    fn keep(&mut self, above: BorrowedFd<'_>, path: &Path, stat: &Stat) -> io::Result<()> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::RegularFile || stat.st_size == 0 {
            return Ok(());
        }
        let name = PathBuf::from(stat.st_ino.to_string());
        let only_new = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(above, path, self.folder()?, &name, only_new) {
            // Another name of this very file was here before, or no record speaks of it.
            Ok(()) | Err(Errno::EXIST | Errno::NAMETOOLONG) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn folder(&mut self) -> io::Result<&OwnedFd> {
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None => {
                std::fs::create_dir_all(&self.place)?;
                trees::open_directory(&self.place)?
            }
        };
        Ok(self.folder.insert(folder))
    }
}
