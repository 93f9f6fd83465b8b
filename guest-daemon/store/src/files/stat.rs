//! What is at a path of a container.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;

use super::words::said;
use super::{base, clean, open};

/// As many links as are followed before it counts as a circle.
const LINK_LIMIT: usize = 255;

/// What `docker cp` wants to know about a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStat {
    pub name: String,
    pub size: i64,
    /// As the kernel has it, with the kind of file in it.
    pub mode: u32,
    /// Nanoseconds since 1970.
    pub modified: i128,
    /// Where a link leads in the end, as far as there is something; else empty.
    pub link_target: String,
}

impl PathStat {
    /// Looks at a path; a link at its end is looked at itself.
    pub fn of(root: impl AsFd, path: &str) -> io::Result<Self> {
        let entry = open(&root, Path::new(path), OFlags::PATH | OFlags::NOFOLLOW)
            .map_err(|error| said("lstat", path, &error.into()))?;
        Self::opened(&root, path, &entry, &rustix::fs::fstat(&entry)?)
    }

    pub(super) fn opened(
        root: &impl AsFd,
        path: &str,
        entry: &OwnedFd,
        stat: &Stat,
    ) -> io::Result<Self> {
        let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        Ok(Self {
            name: base(path).to_owned(),
            size: stat.st_size,
            mode: stat.st_mode,
            modified: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
            link_target: match is_link {
                true => follow(root, path, entry)?,
                false => String::new(),
            },
        })
    }
}

/// Where a link leads, also when that is not there.
fn follow(root: &impl AsFd, path: &str, link: &OwnedFd) -> io::Result<String> {
    let mut remaining = parts(&clean(path));
    let mut found = PathBuf::from("/");
    let mut links = 0;
    // What was opened is a link, whatever its name is now.
    let mut first = Some(link);
    while let Some(name) = remaining.pop() {
        if name == Path::new("..") {
            found.pop();
            continue;
        }
        let here = found.join(&name);
        let target = match first.take_if(|_| remaining.is_empty()) {
            Some(link) => Some(rustix::fs::readlinkat(link, "", Vec::new())?),
            None => read_link(root, &here)?,
        };
        let Some(target) = target else {
            found = here;
            continue;
        };
        links += 1;
        if links > LINK_LIMIT {
            return Err(io::Error::other(format!("too many links in {path}")));
        }
        let target = PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes()));
        if target.is_absolute() {
            found = PathBuf::from("/");
        }
        remaining.extend(parts(&target));
    }
    Ok(found.to_string_lossy().into_owned())
}

/// A link's target; `None` when there is something else or nothing.
fn read_link(root: &impl AsFd, path: &Path) -> io::Result<Option<std::ffi::CString>> {
    match open(root, path, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(entry) => match rustix::fs::readlinkat(&entry, "", Vec::new()) {
            Ok(target) => Ok(Some(target)),
            // Not a link.
            Err(Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        },
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(said("lstat", path.display(), &error.into())),
    }
}

/// The parts of a path, last first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let mut parts: Vec<PathBuf> = path
        .components()
        .filter_map(|component| match component {
            std::path::Component::Normal(name) => Some(PathBuf::from(name)),
            std::path::Component::ParentDir => Some(PathBuf::from("..")),
            _ => None,
        })
        .collect();
    parts.reverse();
    parts
}
