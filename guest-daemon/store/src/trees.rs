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

use crate::error::{Result, StoreError};
use crate::walk::{self, Tree};
use crate::{beneath, holes};

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
    remove_with(above, name, &mut |_, _| Ok(()))
}

/// The same; each name is shown before it is removed, and may be moved away then. A tree is never
/// too deep or too wide for that: few folders are open at once, nothing calls itself, and what it
/// takes grows with the number of names alone.
pub(crate) fn remove_with(
    above: BorrowedFd<'_>,
    name: &Path,
    show: &mut dyn FnMut(BorrowedFd<'_>, &Path) -> std::result::Result<(), Errno>,
) -> std::result::Result<(), Errno> {
    if !is_folder_left(above, name, show)? {
        return Ok(());
    }
    let mut emptying = vec![Emptying::open(above, name)?];
    let mut lifted = 0;
    loop {
        let depth = emptying.len();
        let Some(folder) = emptying.last_mut() else { return Ok(()) };
        let Some(child) = folder.next()? else {
            let name = folder.name.clone();
            emptying.pop();
            let above = emptying.last().map_or(above, |above| above.folder.as_fd());
            rustix::fs::unlinkat(above, &name, AtFlags::REMOVEDIR)?;
            continue;
        };
        if !is_folder_left(folder.folder.as_fd(), &child, show)? {
            continue;
        }
        if depth < OPEN_FOLDERS {
            let below = Emptying::open(folder.folder.as_fd(), &child)?;
            emptying.push(below);
        } else {
            lift(&mut emptying, &child, &mut lifted)?;
        }
    }
}

/// Removes a name. Whether it is a folder, which is still there then.
fn is_folder_left(
    above: BorrowedFd<'_>,
    name: &Path,
    show: &mut dyn FnMut(BorrowedFd<'_>, &Path) -> std::result::Result<(), Errno>,
) -> std::result::Result<bool, Errno> {
    show(above, name)?;
    match rustix::fs::unlinkat(above, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(false),
        Err(Errno::ISDIR | Errno::PERM) => Ok(true),
        Err(error) => Err(error),
    }
}

/// A tree can be deeper than a process can have descriptors.
const OPEN_FOLDERS: usize = 64;
/// A folder can have more names than fit in memory.
const NAMES: usize = 4096;

/// A folder whose content is being removed.
struct Emptying {
    name: PathBuf,
    folder: OwnedFd,
    children: Vec<PathBuf>,
    /// There may be more than those.
    more: bool,
}

impl Emptying {
    fn open(above: BorrowedFd<'_>, name: &Path) -> std::result::Result<Self, Errno> {
        let folder = beneath::open_child(above, name, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(Self { name: name.to_owned(), folder, children: Vec::new(), more: true })
    }

    /// The next child; those before it are gone.
    fn next(&mut self) -> std::result::Result<Option<PathBuf>, Errno> {
        if self.children.is_empty() && self.more {
            self.children = names_up_to(NAMES, &self.folder)?;
            self.more = self.children.len() == NAMES;
        }
        Ok(self.children.pop())
    }
}

/// Moves a child of the deepest folder to the topmost one, which will find it there. No number is
/// tried twice, or many such children would take for ever.
fn lift(
    emptying: &mut [Emptying],
    child: &Path,
    number: &mut u64,
) -> std::result::Result<(), Errno> {
    let [top, .., deepest] = emptying else { return Err(Errno::INVAL) };
    loop {
        let name = PathBuf::from(format!(".lifted-{number}"));
        *number += 1;
        let only_new = rustix::fs::RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&deepest.folder, child, &top.folder, &name, only_new) {
            Ok(()) => {
                top.more = true;
                return Ok(());
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Bytes of the files in a tree; hard links count once. What is nested too deeply does not count.
pub(crate) fn size(path: &Path) -> Result<u64> {
    let doing = || format!("measure {}", path.display());
    let folder = open_directory(path).map_err(StoreError::errno(doing()))?;
    let (mut total, mut seen) = (0, BTreeSet::new());
    let measured = walk::walk(Tree::OneLayer, vec![folder], &mut |_, _, stat| {
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if !is_folder && (stat.st_nlink == 1 || seen.insert((stat.st_dev, stat.st_ino))) {
            total += u64::try_from(stat.st_size).unwrap_or(0);
        }
        Ok(())
    });
    match measured {
        Err(error) if error.kind() != std::io::ErrorKind::Other => {
            Err(StoreError::io(doing())(error))
        }
        _ => Ok(total),
    }
}

/// The names in a folder, without `.` and `..`.
pub(crate) fn names(folder: impl AsFd) -> std::result::Result<Vec<PathBuf>, Errno> {
    names_up_to(usize::MAX, folder)
}

fn names_up_to(limit: usize, folder: impl AsFd) -> std::result::Result<Vec<PathBuf>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            found.push(PathBuf::from(std::ffi::OsStr::from_bytes(name)));
        }
        if found.len() == limit {
            break;
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
            let target = File::from(created);
            holes::copy(&mut source, &target)
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
