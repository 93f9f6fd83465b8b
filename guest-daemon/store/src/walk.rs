//! Going through a tree that others may be changing, without following links. Only one path's
//! folders are open and a part of their names in memory, however large the tree is.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, OFlags, Stat};
use rustix::io::Errno;

use crate::beneath;

/// A folder is a descriptor while the walk is below it.
const DEPTH: usize = 512;
/// So many names of a folder are taken at a time, and sorted.
const BATCH: usize = 1024;

/// What kind of tree it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    /// A container's files as its processes see them, mounts and all.
    Mounted,
    /// Layers as overlay would show them together.
    Layers,
    /// A layer by itself, with the whiteouts in it.
    OneLayer,
}

/// Calls `meet` with the path, a descriptor that stands for the entry itself, and what it is.
/// Folders come before what is in them; `top` (topmost layer first) is not met itself.
pub(crate) fn walk(
    tree: Tree,
    top: Vec<OwnedFd>,
    meet: &mut dyn FnMut(&Path, &OwnedFd, &Stat) -> io::Result<()>,
) -> io::Result<()> {
    let mut path = PathBuf::new();
    let mut levels = vec![Level::new(top)];
    while let Some(level) = levels.last_mut() {
        let Some((layer, name)) = level.next()? else {
            levels.pop();
            path.pop();
            continue;
        };
        let name = Path::new(&name);
        let Some((entry, stat)) = look(tree, &level.folders[layer], name)? else { continue };
        if tree == Tree::Layers && is_whiteout(&stat) {
            continue;
        }
        path.push(name);
        meet(&path, &entry, &stat)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            path.pop();
            continue;
        }
        let folders = below(tree, level, layer, name, &entry)?;
        if levels.len() == DEPTH {
            return Err(io::Error::other(format!("{} is nested too deeply", path.display())));
        }
        levels.push(Level::new(folders));
    }
    Ok(())
}

/// A folder on the way.
struct Level {
    folders: Vec<OwnedFd>,
    /// Which of them is listed, and how far that is.
    layer: usize,
    listing: Option<Dir>,
    batch: std::vec::IntoIter<(usize, OsString)>,
}

impl Level {
    fn new(folders: Vec<OwnedFd>) -> Self {
        Self { folders, layer: 0, listing: None, batch: Vec::new().into_iter() }
    }

    /// The next name and the topmost layer that has it.
    fn next(&mut self) -> io::Result<Option<(usize, OsString)>> {
        if let Some(next) = self.batch.next() {
            return Ok(Some(next));
        }
        let mut batch = Vec::new();
        while batch.len() < BATCH && self.layer < self.folders.len() {
            match self.list()? {
                Some(name) if !self.is_above(&name) => batch.push((self.layer, name)),
                Some(_) => {}
                None => {
                    self.listing = None;
                    self.layer += 1;
                }
            }
        }
        batch.sort_by(|one, other| one.1.cmp(&other.1));
        self.batch = batch.into_iter();
        Ok(self.batch.next())
    }

    fn list(&mut self) -> io::Result<Option<OsString>> {
        let listing = match &mut self.listing {
            Some(listing) => listing,
            none => none.insert(Dir::read_from(&self.folders[self.layer])?),
        };
        for entry in listing {
            let entry = match entry {
                // The folder was removed meanwhile.
                Err(Errno::NOENT) => return Ok(None),
                other => other?,
            };
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                return Ok(Some(OsStr::from_bytes(name).to_owned()));
            }
        }
        Ok(None)
    }

    /// Whether an upper layer has the name too: then it was met there, or is hidden.
    fn is_above(&self, name: &OsStr) -> bool {
        self.folders[..self.layer]
            .iter()
            .any(|folder| rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok())
    }
}

/// Opens an entry for what it is; `None` when it is gone.
fn look(tree: Tree, folder: &OwnedFd, name: &Path) -> io::Result<Option<(OwnedFd, Stat)>> {
    let entry = match tree {
        Tree::Mounted => beneath::open_entry(folder, name, OFlags::PATH),
        Tree::Layers | Tree::OneLayer => beneath::open_child(folder, name, OFlags::PATH),
    };
    match entry {
        Ok(entry) => {
            let stat = rustix::fs::fstat(&entry)?;
            Ok(Some((entry, stat)))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The folders that together are the one at `name`, which was found in `layer`.
fn below(
    tree: Tree,
    level: &Level,
    layer: usize,
    name: &Path,
    entry: &OwnedFd,
) -> io::Result<Vec<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut folders = vec![beneath::reopen(entry, flags)?];
    if tree != Tree::Layers || is_opaque(&folders[0]) {
        return Ok(folders);
    }
    for lower in &level.folders[layer + 1..] {
        match beneath::open_child(lower, name, flags) {
            Ok(folder) => {
                let opaque = is_opaque(&folder);
                folders.push(folder);
                if opaque {
                    break;
                }
            }
            Err(Errno::NOENT) => {}
            // A file, a link or a whiteout hides everything below.
            Err(Errno::NOTDIR | Errno::LOOP) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(folders)
}

/// Whether an entry of a layer says that the name is gone.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Whether a folder of a layer hides the one of the same name below.
pub(crate) fn is_opaque(folder: &OwnedFd) -> bool {
    let mut value = [0; 8];
    rustix::fs::fgetxattr(folder, "trusted.overlay.opaque", value.as_mut_slice())
        .is_ok_and(|length| value[..length] == *b"y")
}
