//! A container's files, seen from a descriptor of its root: looked at, packed and unpacked.
//!
//! **Invariant:** the container may be running and change everything under our hands, so each
//! path is resolved by the kernel as if the root were `/`, and whatever is read or written is what
//! was opened, not what has the name by then.

mod extract;
mod pack;
mod stat;
mod words;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

pub use extract::{Destination, Extract};
pub use pack::Packing;
pub use stat::PathStat;

/// Opens a path of a container as if its root were `/`. `flags` may say that a link at its end is
/// not followed, which holds unless something follows the name, as in `link/`.
fn open(root: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    resolve(root, path, flags, ResolveFlags::IN_ROOT)
}

fn resolve(
    from: impl AsFd,
    path: &Path,
    flags: OFlags,
    rule: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    const TRIES: usize = 128;
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let (flags, rules) = (flags | OFlags::CLOEXEC, rule | ResolveFlags::NO_MAGICLINKS);
    let attempt = || rustix::fs::openat2(from.as_fd(), path, flags, Mode::empty(), rules);
    // A rename anywhere lets the kernel ask to try again. There is nothing to wait for.
    for _ in 1..TRIES {
        match attempt() {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    attempt()
}

/// Where in the container a descriptor is.
fn place_of(root: &impl AsFd, entry: &OwnedFd) -> io::Result<PathBuf> {
    let root = root.as_fd().try_clone_to_owned()?;
    let root = std::fs::read_link(crate::beneath::via_proc(&root))?;
    let entry = std::fs::read_link(crate::beneath::via_proc(entry))?;
    let inside = entry.strip_prefix(&root).map_err(io::Error::other)?;
    Ok(Path::new("/").join(inside))
}

/// An absolute path without `.`, `..` and superfluous slashes, by its text alone.
fn clean(path: &str) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    cleaned
}

/// The last part of a path as it was given: `.` for `/a/.`, `a` for `/a/`, `/` for `/`.
fn base(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => "/",
        path => path.rsplit('/').next().unwrap_or(path),
    }
}

#[cfg(test)]
mod tests;
