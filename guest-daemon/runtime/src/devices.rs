//! What is in every container's /dev.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, chownat, makedev, mknodat, symlinkat};
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

/// Makes the default devices and links, and `more` devices, in /dev beneath a root. The process's
/// umask must let every mode through.
pub(crate) fn populate(root: &OwnedFd, more: &[Node]) -> io::Result<()> {
    let dev = beneath::open(root.as_fd(), Path::new("/dev"), OFlags::PATH | OFlags::DIRECTORY)?;
    for (name, major, minor) in DEFAULT {
        if !more.iter().any(|node| node.path == Path::new("/dev").join(name)) {
            let mode = Mode::from_raw_mode(0o666);
            match mknodat(&dev, name, FileType::CharacterDevice, mode, makedev(major, minor)) {
                // Something that was asked for is mounted there.
                Err(Errno::EXIST) => {}
                other => other?,
            }
        }
    }
    for node in more {
        make(&dev, node)?;
    }
    let kcore = Path::new("/proc/kcore").exists().then_some(("/proc/kcore", "kcore"));
    for (target, name) in LINKS.into_iter().chain(kcore) {
        match symlinkat(target, &dev, name) {
            // One of the guest's nodes has the name, or a mount.
            Err(Errno::EXIST) => {}
            other => other?,
        }
    }
    Ok(())
}

fn make(dev: &OwnedFd, node: &Node) -> io::Result<()> {
    let Some((inside, name)) = node
        .path
        .strip_prefix("/dev")
        .ok()
        .and_then(|path| Some((path.parent()?, path.file_name()?)))
    else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a device outside of /dev"));
    };
    beneath::create_dir_all(dev.as_fd(), inside)?;
    let directory = beneath::open(dev.as_fd(), inside, OFlags::PATH | OFlags::DIRECTORY)?;
    let kind = if node.is_block { FileType::BlockDevice } else { FileType::CharacterDevice };
    let mode = Mode::from_raw_mode(node.mode);
    if name == "ptmx" && inside.as_os_str().is_empty() {
        // The container's own terminals are behind the link of this name.
        return Ok(());
    }
    match mknodat(&directory, name, kind, mode, makedev(node.major, node.minor)) {
        // What is mounted there keeps its owner.
        Err(Errno::EXIST) => return Ok(()),
        other => other?,
    }
    let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
    Ok(chownat(&directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
}
