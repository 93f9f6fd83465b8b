//! Room on the data disk. A part of it is kept for what ends and removes things, and only this
//! program can use it: what grows without end must look before it writes.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;

/// Bytes that a stream may bring between two looks at the disk.
const STEP: u64 = 1 << 20;
/// Files that others must still be able to make.
const FILES_KEPT: u64 = 1024;

/// Fails as a full disk does when less than this is left for everybody.
pub(crate) fn check(path: &Path, bytes: u64) -> io::Result<()> {
    enough(&rustix::fs::statvfs(path)?, bytes)
}

/// The same for the disk that an open file is on.
pub(crate) fn check_file(file: impl AsFd, bytes: u64) -> io::Result<()> {
    enough(&rustix::fs::fstatvfs(file)?, bytes)
}

/// The same for new files of somebody who may bring many.
pub(crate) fn check_new(folder: impl AsFd, bytes: u64) -> io::Result<()> {
    let disk = rustix::fs::fstatvfs(folder)?;
    // Where files are not counted there are none in all.
    if disk.f_files > 0 && disk.f_favail < FILES_KEPT {
        return Err(rustix::io::Errno::NOSPC.into());
    }
    enough(&disk, bytes)
}

fn enough(disk: &rustix::fs::StatVfs, bytes: u64) -> io::Result<()> {
    // Some file systems, such as those of programs, count nothing.
    if disk.f_blocks > 0 && disk.f_bavail.saturating_mul(disk.f_frsize) < bytes {
        return Err(rustix::io::Errno::NOSPC.into());
    }
    Ok(())
}

/// What a stream may still bring before the disk is looked at again.
#[derive(Debug, Default)]
pub(crate) struct Allowance(u64);

impl Allowance {
    pub(crate) fn take(&mut self, disk: impl AsFd, bytes: u64) -> io::Result<()> {
        if self.0 < bytes {
            let more = STEP.max(bytes);
            check_file(disk, more)?;
            self.0 = more;
        }
        self.0 -= bytes;
        Ok(())
    }
}

/// A file that does not use up what is kept for others.
#[derive(Debug)]
pub(crate) struct Modest {
    file: File,
    allowance: Allowance,
}

impl Modest {
    pub(crate) fn new(file: File) -> Self {
        Self { file, allowance: Allowance::default() }
    }
}

impl Write for Modest {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.allowance.take(&self.file, buffer.len() as u64)?;
        self.file.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
