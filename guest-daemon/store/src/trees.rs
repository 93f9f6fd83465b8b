//! Removing, measuring and copying trees, never following links and never crossing mounts: a
//! container's folder may still hold a mount when something went wrong, and what is mounted there
//! is the user's.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::beneath;
use crate::error::{Result, StoreError};

const NO_FOLLOW: AtFlags = AtFlags::SYMLINK_NOFOLLOW;

/// Removes a file or a tree. Fails on a mount point within it.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let doing = || format!("remove {}", path.display());
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(StoreError::Invalid(format!("{} cannot be removed", path.display())));
    };
    let above = open_directory(above).map_err(StoreError::errno(doing()))?;
    remove_at(above.as_fd(), Path::new(name)).map_err(StoreError::errno(doing()))
}

pub(crate) fn remove_at(above: BorrowedFd<'_>, name: &Path) -> std::result::Result<(), Errno> {
    match rustix::fs::unlinkat(above, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    let folder = beneath::open_child(above, name, OFlags::RDONLY | OFlags::DIRECTORY)?;
    for child in names(&folder)? {
        remove_at(folder.as_fd(), &child)?;
    }
    drop(folder);
    rustix::fs::unlinkat(above, name, AtFlags::REMOVEDIR)
}

/// Bytes of the files in a tree; hard links count once.
pub(crate) fn size(path: &Path) -> Result<u64> {
    let doing = || format!("measure {}", path.display());
    let folder = open_directory(path).map_err(StoreError::errno(doing()))?;
    let mut seen = BTreeSet::new();
    size_of(&folder, &mut seen).map_err(StoreError::errno(doing()))
}

fn size_of(folder: &OwnedFd, seen: &mut BTreeSet<(u64, u64)>) -> std::result::Result<u64, Errno> {
    let mut total = 0;
    for name in names(folder)? {
        let Ok(stat) = rustix::fs::statat(folder, &name, NO_FOLLOW) else { continue };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                if let Ok(child) =
                    beneath::open_child(folder, &name, OFlags::RDONLY | OFlags::DIRECTORY)
                {
                    total += size_of(&child, seen)?;
                }
            }
            FileType::RegularFile
                if stat.st_nlink == 1 || seen.insert((stat.st_dev, stat.st_ino)) =>
            {
                total += u64::try_from(stat.st_size).unwrap_or(0);
            }
            _ => {}
        }
    }
    Ok(total)
}

/// The names in a folder, without `.` and `..`.
pub(crate) fn names(folder: impl AsFd) -> std::result::Result<Vec<PathBuf>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            found.push(PathBuf::from(std::ffi::OsStr::from_bytes(name)));
        }
    }
    Ok(found)
}

pub(crate) fn open_directory(path: &Path) -> std::result::Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Copies one entry that is not a folder, with its owner, mode, times and attributes.
pub(crate) fn copy_entry(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &Path,
) -> std::result::Result<(), Errno> {
    let stat = rustix::fs::statat(from, name, NO_FOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from, name, Vec::new())?;
            rustix::fs::symlinkat(target, to, name)?;
        }
        FileType::RegularFile => {
            let mut source = File::from(beneath::open_child(from, name, OFlags::RDONLY)?);
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let created = rustix::fs::openat(to, name, flags, Mode::from_raw_mode(0o600))?;
            let mut target = File::from(created);
            std::io::copy(&mut source, &mut target)
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        }
        kind => rustix::fs::mknodat(to, name, kind, Mode::from_raw_mode(0o600), stat.st_rdev)?,
    }
    copy_attributes(from, to, name, &stat)
}

/// Gives an entry the owner, attributes, mode and times of another of the same name.
pub(crate) fn copy_attributes(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &Path,
    stat: &rustix::fs::Stat,
) -> std::result::Result<(), Errno> {
    let owner = rustix::fs::Uid::from_raw(stat.st_uid);
    let group = rustix::fs::Gid::from_raw(stat.st_gid);
    rustix::fs::chownat(to, name, Some(owner), Some(group), NO_FOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        rustix::fs::chmodat(
            to,
            name,
            Mode::from_raw_mode(stat.st_mode & 0o7777),
            AtFlags::empty(),
        )?;
    }
    copy_xattrs(&via_proc(from, name), &via_proc(to, name))?;
    rustix::fs::utimensat(to, name, &times(stat), NO_FOLLOW)
}

fn times(stat: &rustix::fs::Stat) -> Timestamps {
    let part = |seconds: i64, nanos: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanos).unwrap_or(0),
    };
    Timestamps {
        last_access: part(stat.st_atime, stat.st_atime_nsec),
        last_modification: part(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// A path to a name in an open folder; attributes of links have no call that takes a folder.
pub(crate) fn via_proc(folder: BorrowedFd<'_>, name: &Path) -> PathBuf {
    use std::os::fd::AsRawFd;
    PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name)
}

fn copy_xattrs(from: &Path, to: &Path) -> std::result::Result<(), Errno> {
    let mut list = vec![0; 64 * 1024];
    let length = match rustix::fs::llistxattr(from, list.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut value = vec![0; 64 * 1024];
    for name in list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if name.starts_with(b"trusted.overlay.") {
            continue;
        }
        let length = rustix::fs::lgetxattr(from, name, value.as_mut_slice())?;
        rustix::fs::lsetxattr(to, name, &value[..length], rustix::fs::XattrFlags::empty())?;
    }
    Ok(())
}
