//! Putting what an entry of an archive says into an open folder. Whatever is made is then known by
//! a descriptor: the name may lead somewhere else a moment later.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use crate::tar_entry::{Kind, Meta};
use crate::{beneath, holes, room, trees};

const NO_FOLLOW: AtFlags = AtFlags::SYMLINK_NOFOLLOW;
/// Bytes of names of folders whose times are set later.
const WAITING: usize = 16 << 20;

/// Makes anything but a hard link, with owner, mode, attributes and times. Returns the size that it
/// then has, as stat(2) tells it of what is no folder.
pub(crate) fn put(
    content: &mut impl Read,
    folder: &OwnedFd,
    name: &Path,
    meta: &Meta,
) -> io::Result<u64> {
    let private = Mode::from_raw_mode(0o600);
    let device = rustix::fs::makedev(meta.device.0, meta.device.1);
    match meta.kind {
        Kind::File => return put_file(content, folder, name, meta),
        Kind::Folder => {
            match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o700)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            attributes(&beneath::open_entry(folder, name, flags)?, meta)?;
            return Ok(0);
        }
        Kind::Symlink => {
            let target = std::ffi::OsStr::from_bytes(&meta.link);
            rustix::fs::symlinkat(target, folder, name)?;
            link_attributes(folder, name, meta)?;
            return Ok(meta.link.len() as u64);
        }
        Kind::CharDevice => {
            rustix::fs::mknodat(folder, name, FileType::CharacterDevice, private, device)?;
        }
        Kind::BlockDevice => {
            rustix::fs::mknodat(folder, name, FileType::BlockDevice, private, device)?;
        }
        Kind::Fifo => rustix::fs::mknodat(folder, name, FileType::Fifo, private, 0)?,
        Kind::HardLink | Kind::Skip => return Ok(0),
    }
    node_attributes(folder, name, meta)?;
    Ok(0)
}

fn put_file(
    content: &mut impl Read,
    folder: &OwnedFd,
    name: &Path,
    meta: &Meta,
) -> io::Result<u64> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    room::check_new(folder, meta.size)?;
    let file = File::from(rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o600))?);
    let written = match &meta.sparse {
        Some(sparse) => holes::copy(&mut sparse.fill(content)?, &file)?,
        None => holes::copy(content, &file)?,
    };
    attributes(&OwnedFd::from(file), meta)?;
    Ok(written)
}

/// For what is open. Owner before mode and attributes: changing the owner clears set-user-id bits
/// and capabilities.
pub(crate) fn attributes(entry: &OwnedFd, meta: &Meta) -> Result<(), Errno> {
    let (owner, group) = owners(meta);
    rustix::fs::fchown(entry, owner, group)?;
    rustix::fs::fchmod(entry, Mode::from_raw_mode(meta.mode))?;
    for (key, value) in kept_attributes(meta) {
        report(rustix::fs::fsetxattr(entry, key, value, XattrFlags::empty()))?;
    }
    rustix::fs::futimens(entry, &times(meta.modified))
}

/// For what cannot be opened without doing something to it.
fn node_attributes(folder: &OwnedFd, name: &Path, meta: &Meta) -> Result<(), Errno> {
    let entry = beneath::open_entry(folder, name, OFlags::PATH)?;
    let stat = rustix::fs::fstat(&entry)?;
    let is_device = matches!(meta.kind, Kind::CharDevice | Kind::BlockDevice);
    let device = rustix::fs::makedev(meta.device.0, meta.device.1);
    if kind_of(FileType::from_raw_mode(stat.st_mode)) != Some(meta.kind)
        || (is_device && stat.st_rdev != device)
    {
        // Somebody put something else there.
        return Err(Errno::AGAIN);
    }
    let path = beneath::via_proc(&entry);
    let (owner, group) = owners(meta);
    rustix::fs::chownat(CWD, &path, owner, group, AtFlags::empty())?;
    rustix::fs::chmodat(CWD, &path, Mode::from_raw_mode(meta.mode), AtFlags::empty())?;
    for (key, value) in kept_attributes(meta) {
        report(rustix::fs::setxattr(&path, key, value, XattrFlags::empty()))?;
    }
    rustix::fs::utimensat(CWD, &path, &times(meta.modified), AtFlags::empty())
}

fn link_attributes(folder: &OwnedFd, name: &Path, meta: &Meta) -> Result<(), Errno> {
    let (owner, group) = owners(meta);
    rustix::fs::chownat(folder, name, owner, group, NO_FOLLOW)?;
    let path = trees::via_proc(folder.as_fd(), name);
    for (key, value) in kept_attributes(meta) {
        report(rustix::fs::lsetxattr(&path, key, value, XattrFlags::empty()))?;
    }
    rustix::fs::utimensat(folder, name, &times(meta.modified), NO_FOLLOW)
}

/// Overlay's own attributes from outside would change what the layers mean.
fn kept_attributes(meta: &Meta) -> impl Iterator<Item = (&[u8], &[u8])> {
    meta.xattrs
        .iter()
        .map(|(key, value)| (key.as_slice(), value.as_slice()))
        .filter(|(key, _)| !key.starts_with(b"trusted.overlay."))
}

fn report(set: Result<(), Errno>) -> Result<(), Errno> {
    match set {
        Err(Errno::OPNOTSUPP | Errno::PERM) => {
            tracing::warn!("an extended attribute is not kept");
            Ok(())
        }
        other => other,
    }
}

fn owners(meta: &Meta) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid)))
}

fn kind_of(kind: FileType) -> Option<Kind> {
    match kind {
        FileType::CharacterDevice => Some(Kind::CharDevice),
        FileType::BlockDevice => Some(Kind::BlockDevice),
        FileType::Fifo => Some(Kind::Fifo),
        _ => None,
    }
}

fn times(modified: Timespec) -> Timestamps {
    Timestamps { last_access: modified, last_modification: modified }
}

/// Folders whose times are set last, because writing into them changes them.
#[derive(Debug, Default)]
pub(crate) struct FolderTimes {
    waiting: Vec<(PathBuf, Timespec)>,
    bytes: usize,
}

impl FolderTimes {
    pub(crate) fn add(&mut self, path: PathBuf, modified: Timespec) {
        self.bytes += path.as_os_str().len() + size_of::<(PathBuf, Timespec)>();
        self.waiting.push((path, modified));
    }

    /// Whether there are so many that they should not wait for the end.
    pub(crate) fn are_many(&self) -> bool {
        self.bytes > WAITING
    }

    /// Sets them all; `open` may find that a folder is gone.
    pub(crate) fn set(
        &mut self,
        open: impl Fn(&Path) -> Result<OwnedFd, Errno>,
    ) -> Result<(), Errno> {
        self.bytes = 0;
        for (path, modified) in std::mem::take(&mut self.waiting).into_iter().rev() {
            // It may have been replaced by a later entry.
            if let Ok(folder) = open(&path) {
                rustix::fs::futimens(&folder, &times(modified))?;
            }
        }
        Ok(())
    }
}
