//! Pseudo-terminals.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

/// A new terminal.
#[derive(Debug)]
pub struct Terminal {
    /// Our side.
    pub master: OwnedFd,
    /// The program's side, opened once so that reading `master` does not fail before the program
    /// has opened it; to be closed when the program runs.
    pub peer: OwnedFd,
    /// The path of the program's side.
    pub path: PathBuf,
}

/// Characters; 0 by 0 is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TerminalSize {
    pub rows: u16,
    pub columns: u16,
}

/// Opens a new terminal of this size.
pub fn open_terminal(size: TerminalSize) -> io::Result<Terminal> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags)?;
    rustix::pty::grantpt(&master)?;
    rustix::pty::unlockpt(&master)?;
    let name = rustix::pty::ptsname(&master, Vec::new())?;
    let path = PathBuf::from(OsString::from_vec(name.into_bytes()));
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let peer = rustix::fs::open(&path, flags, Mode::empty())?;
    resize_terminal(&master, size)?;
    Ok(Terminal { master, peer, path })
}

/// Sets a terminal's size; its foreground programs get SIGWINCH.
pub fn resize_terminal(master: impl AsFd, size: TerminalSize) -> io::Result<()> {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(rustix::termios::tcsetwinsize(master, size)?)
}
