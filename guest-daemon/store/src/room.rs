//! Room on the data disk. A part of it is kept for what ends and removes things, and only this
//! program can use it: what grows without end must look before it writes.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// Fails as a full disk does when less than this is left for everybody.
pub(crate) fn check(path: &Path, bytes: u64) -> io::Result<()> {
    enough(&rustix::fs::statvfs(path)?, bytes)
}

/// The same for the disk that an open file is on.
pub(crate) fn check_file(file: impl AsFd, bytes: u64) -> io::Result<()> {
    enough(&rustix::fs::fstatvfs(file)?, bytes)
}

fn enough(disk: &rustix::fs::StatVfs, bytes: u64) -> io::Result<()> {
    if disk.f_bavail.saturating_mul(disk.f_frsize) < bytes {
        return Err(rustix::io::Errno::NOSPC.into());
    }
    Ok(())
}
