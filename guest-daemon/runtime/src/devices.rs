//! What is in every container's /dev.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, chownat, makedev, mknodat, statat, symlinkat,
};
use rustix::io::Errno;

use crate::beneath;
use crate::plan::Node;

/// Name and numbers of character devices that are harmless.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// Makes the default devices and links in a fresh /dev beneath a root, and `more` devices in their
/// places. The process's umask must let every mode through.
pub(crate) fn populate(root: &OwnedFd, more: &[Node]) -> io::Result<()> {
    let dev = beneath::open(root.as_fd(), Path::new("/dev"), OFlags::PATH | OFlags::DIRECTORY)?;
    for node in more {
        make(root, node)?;
    }
    for (name, major, minor) in DEFAULT {
        let mode = Mode::from_raw_mode(0o666);
        match mknodat(&dev, name, FileType::CharacterDevice, mode, makedev(major, minor)) {
            // One that was asked for.
            Err(Errno::EXIST) => {}
            other => other?,
        }
    }
    let kcore = Path::new("/proc/kcore").exists().then_some(("/proc/kcore", "kcore"));
    for (target, name) in LINKS.into_iter().chain(kcore) {
        match symlinkat(target, &dev, name) {
            // One of the guest's nodes has the name.
            Err(Errno::EXIST) => {}
            other => other?,
        }
    }
    Ok(())
}

fn make(root: &OwnedFd, node: &Node) -> io::Result<()> {
    let (Some(inside), Some(name)) = (node.path.parent(), node.path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a device without a name"));
    };
    if node.path == Path::new("/dev/ptmx") {
        // The container's own terminals are behind the link of this name.
        return Ok(());
    }
    beneath::create_dir_all(root.as_fd(), inside)?;
    let directory = beneath::open(root.as_fd(), inside, OFlags::PATH | OFlags::DIRECTORY)?;
    let kind = if node.is_block { FileType::BlockDevice } else { FileType::CharacterDevice };
    let mode = Mode::from_raw_mode(node.mode);
    match mknodat(&directory, name, kind, mode, makedev(node.major, node.minor)) {
        // One that was asked for twice, or is left of an earlier start.
        Err(Errno::EXIST) => return is_that(&directory, name, node),
        other => other?,
    }
    let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
    Ok(chownat(&directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Whether what is in a device's place is that device.
fn is_that(directory: &OwnedFd, name: &OsStr, node: &Node) -> io::Result<()> {
    let found = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    match found.st_rdev == makedev(node.major, node.minor) {
        true => Ok(()),
        false => Err(Errno::EXIST.into()),
    }
}
