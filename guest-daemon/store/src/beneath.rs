//! Paths that come from outside, resolved so that they cannot leave their root.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Within the root, symbolic links are followed as if the root were `/`.
const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// The components of a path in an archive, without `.`, a leading `/` and harmless `..`; `None`
/// when it climbs out of its root.
pub(crate) fn clean(path: &[u8]) -> Option<PathBuf> {
    let mut cleaned = PathBuf::new();
    for component in Path::new(std::ffi::OsStr::from_bytes(path)).components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                if !cleaned.pop() {
                    return None;
                }
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Some(cleaned)
}

/// Opens a folder below `root`; the empty path is the root itself.
pub(crate) fn open_folder(root: impl AsFd, path: &Path) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    rustix::fs::openat2(
        root,
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        IN_ROOT,
    )
}

/// Opens a folder below `root` and makes it, and those above it, where they are missing.
pub(crate) fn make_folder(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    match open_folder(root, path) {
        Err(Errno::NOENT) => {}
        result => return result,
    }
    let (Some(name), Some(above)) = (path.file_name(), path.parent()) else {
        return Err(Errno::NOENT);
    };
    let above = make_folder(root, above)?;
    match rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    open_folder(root, path)
}

/// Opens a name directly in a folder, never through a link.
pub(crate) fn open_entry(folder: impl AsFd, name: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(
        folder,
        name,
        flags | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )
}

/// Opens what a descriptor stands for once more, for something else.
pub(crate) fn reopen(entry: &OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::open(via_proc(entry), flags | OFlags::CLOEXEC, Mode::empty())
}

/// A path to what a descriptor stands for, for calls that take no descriptor of its kind.
pub(crate) fn via_proc(entry: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", entry.as_raw_fd()))
}

/// Opens a name directly in a folder, never through a link and never across a mount.
pub(crate) fn open_child(folder: impl AsFd, name: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(
        folder,
        name,
        flags | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV,
    )
}
