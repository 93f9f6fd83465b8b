//! A path seen through layers as overlay would show it, without mounting them.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::{beneath, trees, walk};

/// Symbolic links followed before giving up, as the kernel does.
const LINK_LIMIT: usize = 40;

/// The folders that together make up one folder, topmost first.
pub(crate) type Folders = Vec<OwnedFd>;

/// Finds a folder in layers (topmost first), following links within them; `None` when the path
/// is not there or no folder.
pub(crate) fn find_folder(layers: &[PathBuf], path: &Path) -> Result<Option<Folders>, Errno> {
    let mut remaining: Vec<PathBuf> = parts(path);
    let mut walked = Vec::new();
    let mut links = 0;
    let mut current = roots(layers)?;
    while let Some(name) = remaining.pop() {
        if name == Path::new("..") {
            walked.pop();
            remaining.extend(walked.drain(..).rev());
            current = roots(layers)?;
            continue;
        }
        match step(&current, &name)? {
            Step::Folders(folders) => {
                current = folders;
                walked.push(name);
            }
            Step::Link(target) => {
                links += 1;
                if links > LINK_LIMIT {
                    return Err(Errno::LOOP);
                }
                if target.is_absolute() {
                    walked.clear();
                }
                remaining.extend(parts(&target));
                remaining.extend(walked.drain(..).rev());
                current = roots(layers)?;
            }
            Step::Nothing => return Ok(None),
        }
    }
    Ok(Some(current))
}

/// Copies what a folder shows into an empty one, with its own owner and mode.
pub(crate) fn copy(folders: &Folders, target: &OwnedFd) -> Result<(), Errno> {
    let Some(top) = folders.first() else { return Ok(()) };
    let stat = rustix::fs::fstat(top)?;
    for name in visible_names(folders)? {
        match step(folders, &name)? {
            Step::Folders(below) => {
                rustix::fs::mkdirat(target, &name, Mode::from_raw_mode(0o700))?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                copy(&below, &beneath::open_child(target, &name, flags)?)?;
            }
            Step::Link(_) | Step::Nothing => {
                if let Some((folder, _)) = find(folders, &name)? {
                    trees::copy_entry(folder.as_fd(), target.as_fd(), &name)?;
                }
            }
        }
    }
    trees::copy_attributes(top.as_fd(), target.as_fd(), Path::new("."), &stat)
}

pub(crate) enum Step {
    Folders(Folders),
    Link(PathBuf),
    /// Not there, or a file.
    Nothing,
}

pub(crate) fn step(folders: &Folders, name: &Path) -> Result<Step, Errno> {
    let mut found = Folders::new();
    for folder in folders {
        let stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            result => result?,
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                let child = beneath::open_child(folder, name, flags)?;
                let opaque = walk::is_opaque(&child);
                found.push(child);
                if opaque {
                    break;
                }
            }
            FileType::Symlink if found.is_empty() => {
                let target = rustix::fs::readlinkat(folder, name, Vec::new())?;
                let target = std::ffi::OsString::from_vec(target.into_bytes());
                return Ok(Step::Link(target.into()));
            }
            // A file or a whiteout hides everything below.
            _ => break,
        }
    }
    Ok(if found.is_empty() { Step::Nothing } else { Step::Folders(found) })
}

/// The topmost folder that has the name as something other than a whiteout, and what it is there.
pub(crate) fn find<'a>(
    folders: &'a Folders,
    name: &Path,
) -> Result<Option<(&'a OwnedFd, rustix::fs::Stat)>, Errno> {
    for folder in folders {
        match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
            Ok(stat) => return Ok((!walk::is_whiteout(&stat)).then_some((folder, stat))),
        }
    }
    Ok(None)
}

pub(crate) fn visible_names(folders: &Folders) -> Result<Vec<PathBuf>, Errno> {
    let mut names = std::collections::BTreeSet::new();
    for folder in folders {
        names.extend(trees::names(folder)?);
    }
    Ok(names.into_iter().collect())
}

pub(crate) fn roots(layers: &[PathBuf]) -> Result<Folders, Errno> {
    layers.iter().map(|layer| trees::open_directory(layer)).collect()
}

/// The parts of a path, last first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let mut parts: Vec<PathBuf> = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(PathBuf::from(name)),
            Component::ParentDir => Some(PathBuf::from("..")),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        })
        .collect();
    parts.reverse();
    parts
}
