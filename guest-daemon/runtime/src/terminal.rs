//! A container's terminals, made in its own devpts.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fchown, fstat, major, minor};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

use crate::plan::Size;
use crate::{attach, beneath, streams};

/// Makes a terminal and gives the user its inner end. Returns the daemon's end and that one; `/`
/// must be the container's root.
pub(crate) fn open(size: Size, uid: u32) -> io::Result<(OwnedFd, OwnedFd)> {
    let root = beneath::open_root(Path::new("/"))?;
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let master = beneath::open(root.as_fd(), Path::new("/dev/pts/ptmx"), flags)?;
    // Whatever the image put there, only the kernel's own device makes terminals.
    let stat = fstat(&master)?;
    let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if !is_device || (major(stat.st_rdev), minor(stat.st_rdev)) != (5, 2) {
        return Err(io::Error::other("/dev/pts/ptmx is not the terminal device"));
    }
    unlockpt(&master)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    fchown(&slave, Some(rustix::fs::Uid::from_raw(uid)), None)?;
    let Size { rows, columns } = size;
    streams::resize(&master, engine::ports::TerminalSize { rows, columns })?;
    Ok((master, slave))
}

/// Makes a terminal the container's console.
pub(crate) fn mount_console(slave: &OwnedFd) -> io::Result<()> {
    let root = beneath::open_root(Path::new("/"))?;
    let dev = beneath::open(root.as_fd(), Path::new("/dev"), OFlags::PATH | OFlags::DIRECTORY)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(&dev, "console", flags, Mode::from_raw_mode(0o620)) {
        Err(rustix::io::Errno::EXIST) => {}
        other => drop(other?),
    }
    // What was there before is not opened: a FIFO would block.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let console = rustix::fs::openat(&dev, "console", flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&console)?.st_mode) == FileType::Symlink {
        return Err(io::Error::other("/dev/console is a link"));
    }
    attach::attach(&attach::copy(slave.as_fd())?, console.as_fd())
}
