//! What a container has changed of its image: its upper folder held against the layers.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, OFlags, Stat};
use rustix::io::Errno;

use crate::Store;
use crate::error::{Result, StoreError};
use crate::view::{self, Folders};
use crate::walk::{is_opaque, is_whiteout};
use crate::{beneath, trees};

const DEPTH: usize = 512;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Absolute, as in the container.
    pub path: PathBuf,
    pub kind: ChangeKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Modified,
    Added,
    Deleted,
}

impl Store {
    /// What a container standing on `layers` (topmost first) changed, folders before what is in
    /// them.
    pub fn container_changes(&self, id: &str, layers: &[PathBuf]) -> Result<Vec<Change>> {
        let failed = || StoreError::io("compare the container with its image");
        let upper = self.layout().container_file(id, "upper");
        let upper = trees::open_directory(&upper).map_err(|error| failed()(error.into()))?;
        let below = view::roots(layers).map_err(|error| failed()(error.into()))?;
        let mut comparison = Comparison { path: PathBuf::from("/"), changes: Vec::new() };
        comparison.folder(&upper, &below, false, 0).map_err(failed())?;
        Ok(comparison.changes)
    }
}

struct Comparison {
    path: PathBuf,
    changes: Vec<Change>,
}

impl Comparison {
    /// `below` is what the layers have in the folder's place: nothing, when it is new. `hides` says
    /// that nothing of it is seen through any more.
    fn folder(
        &mut self,
        upper: &OwnedFd,
        below: &Folders,
        hides: bool,
        depth: usize,
    ) -> io::Result<()> {
        if depth == DEPTH {
            let path = self.path.display();
            return Err(io::Error::other(format!("{path} is nested too deeply")));
        }
        let mut names: BTreeSet<PathBuf> = trees::names(upper)?.into_iter().collect();
        let hides = hides || is_opaque(upper);
        if hides {
            names.extend(view::visible_names(below)?);
        }
        for name in names {
            self.path.push(&name);
            self.entry(upper, below, &name, hides, depth)?;
            self.path.pop();
        }
        Ok(())
    }

    fn entry(
        &mut self,
        upper: &OwnedFd,
        below: &Folders,
        name: &Path,
        hides: bool,
        depth: usize,
    ) -> io::Result<()> {
        let old = view::find(below, name)?;
        let new = look(upper, name)?.filter(|stat| !is_whiteout(stat));
        let place = self.changes.len();
        match (&old, &new) {
            (None, None) => return Ok(()),
            (Some(_), None) => {
                self.note(ChangeKind::Deleted);
                return Ok(());
            }
            (None, Some(_)) => self.note(ChangeKind::Added),
            (Some((folder, old)), Some(new)) => {
                if differ(old, new) || capability(folder, name) != capability(upper, name) {
                    self.note(ChangeKind::Modified);
                }
            }
        }
        let is_new = self.changes.len() > place;
        if new.is_some_and(|stat| is_folder(&stat)) {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let Ok(folder) = beneath::open_child(upper, name, flags) else { return Ok(()) };
            let below = match view::step(below, name)? {
                view::Step::Folders(folders) => folders,
                view::Step::Link(_) | view::Step::Nothing => Folders::new(),
            };
            self.folder(&folder, &below, hides, depth + 1)?;
            if !is_new && self.changes.len() > place {
                let change = Change { path: self.path.clone(), kind: ChangeKind::Modified };
                self.changes.insert(place, change);
            }
        }
        Ok(())
    }

    fn note(&mut self, kind: ChangeKind) {
        self.changes.push(Change { path: self.path.clone(), kind });
    }
}

fn look(folder: &OwnedFd, name: &Path) -> std::result::Result<Option<Stat>, Errno> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Whether somebody would call it changed. A folder's size and time say nothing about it.
fn differ(old: &Stat, new: &Stat) -> bool {
    let owner_or_mode = old.st_mode != new.st_mode
        || (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid)
        || old.st_rdev != new.st_rdev;
    owner_or_mode || (!is_folder(old) && (old.st_size != new.st_size || !same_time(old, new)))
}

/// Archives may have whole seconds only.
fn same_time(old: &Stat, new: &Stat) -> bool {
    old.st_mtime == new.st_mtime
        && (old.st_mtime_nsec == new.st_mtime_nsec
            || old.st_mtime_nsec == 0
            || new.st_mtime_nsec == 0)
}

fn capability(folder: impl AsFd, name: &Path) -> Option<Vec<u8>> {
    let path = trees::via_proc(folder.as_fd(), name);
    let mut value = [0; 64];
    let length = rustix::fs::lgetxattr(path, "security.capability", value.as_mut_slice()).ok()?;
    Some(value[..length].to_vec())
}
