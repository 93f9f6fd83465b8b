//! The kernel's errors in the words that clients of Docker know.

use std::io;

use rustix::io::Errno;

/// An error of the kernel about a path, as `what path: why`.
pub(super) fn said(what: &str, path: impl std::fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {path}: {}", of(error)))
}

fn of(error: &io::Error) -> String {
    let words = match Errno::from_io_error(error) {
        Some(Errno::NOENT) => "no such file or directory",
        Some(Errno::NOTDIR) => "not a directory",
        Some(Errno::ISDIR) => "is a directory",
        Some(Errno::EXIST) => "file exists",
        Some(Errno::BUSY) => "device or resource busy",
        // A mount is in the way of removing what is around it.
        Some(Errno::XDEV) => "device or resource busy",
        Some(Errno::ROFS) => "read-only file system",
        Some(Errno::NOSPC) => "no space left on device",
        Some(Errno::DQUOT) => "disk quota exceeded",
        Some(Errno::FBIG) => "file too large",
        Some(Errno::NAMETOOLONG) => "file name too long",
        Some(Errno::LOOP) => "too many levels of symbolic links",
        Some(Errno::MLINK) => "too many links",
        Some(Errno::PERM) => "operation not permitted",
        Some(Errno::ACCESS) => "permission denied",
        Some(Errno::INVAL) => "invalid argument",
        Some(_) | None => return error.to_string(),
    };
    words.to_owned()
}
