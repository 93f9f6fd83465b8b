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
    // A path can have more parts than a thread has room for calls.
    let mut missing = Vec::new();
    let mut at = path;
    let mut folder = loop {
        match open_folder(root, at) {
            Err(Errno::NOENT) => {}
            result => break result?,
        }
        missing.push(at);
        at = at.parent().ok_or(Errno::NOENT)?;
    };
    for path in missing.into_iter().rev() {
        let name = path.file_name().ok_or(Errno::NOENT)?;
        folder = match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => open_entry(&folder, Path::new(name), OFlags::RDONLY | OFlags::DIRECTORY)?,
            // A link that leads to something that was made only now.
            Err(Errno::EXIST) => open_folder(root, path)?,
            Err(error) => return Err(error),
        };
    }
    Ok(folder)
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
