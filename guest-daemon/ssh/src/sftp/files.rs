//! What is done to files, by path or by handle.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Dir, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use super::attributes::Wanted;
use super::packet::PACKET_BYTES;

/// The most that is read or written by one request; a packet has a little more.
pub(crate) const TRANSFER_BYTES: u32 = PACKET_BYTES as u32 - 1024;
/// Open files and directories of one client.
pub(crate) const HANDLES: usize = 512;
const HOME: &str = "/root";
const COPY_BYTES: usize = 64 * 1024;

const READ: u32 = 1;
const WRITE: u32 = 2;
const APPEND: u32 = 4;
const CREATE: u32 = 8;
const TRUNCATE: u32 = 16;
const EXCLUSIVE: u32 = 32;

/// What a client has open, under numbers that are never used again.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    open: HashMap<u32, Opened>,
    next: u32,
}

#[derive(Debug)]
pub(crate) enum Opened {
    File(File),
    Directory(Dir),
}

impl Handles {
    pub(crate) fn add(&mut self, opened: Opened) -> io::Result<u32> {
        if self.open.len() >= HANDLES {
            return Err(Errno::MFILE.into());
        }
        let number = self.next;
        self.next = number.checked_add(1).ok_or(Errno::MFILE)?;
        self.open.insert(number, opened);
        Ok(number)
    }

    pub(crate) fn close(&mut self, handle: &[u8]) -> io::Result<()> {
        self.open.remove(&number(handle)?).map(drop).ok_or_else(|| Errno::BADF.into())
    }

    pub(crate) fn file(&self, handle: &[u8]) -> io::Result<&File> {
        match self.open.get(&number(handle)?) {
            Some(Opened::File(file)) => Ok(file),
            Some(Opened::Directory(_)) => Err(Errno::ISDIR.into()),
            None => Err(Errno::BADF.into()),
        }
    }

    pub(crate) fn directory(&mut self, handle: &[u8]) -> io::Result<&mut Dir> {
        match self.open.get_mut(&number(handle)?) {
            Some(Opened::Directory(directory)) => Ok(directory),
            Some(Opened::File(_)) => Err(Errno::NOTDIR.into()),
            None => Err(Errno::BADF.into()),
        }
    }

    pub(crate) fn descriptor(&self, handle: &[u8]) -> io::Result<BorrowedFd<'_>> {
        match self.open.get(&number(handle)?) {
            Some(Opened::File(file)) => Ok(file.as_fd()),
            Some(Opened::Directory(directory)) => Ok(directory.fd()?),
            None => Err(Errno::BADF.into()),
        }
    }
}

fn number(handle: &[u8]) -> io::Result<u32> {
    <[u8; 4]>::try_from(handle).map(u32::from_be_bytes).map_err(|_| Errno::BADF.into())
}

/// Paths are relative to the home directory, as after a login.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    Path::new(HOME).join(path)
}

/// A path that begins with `~`.
pub(crate) fn expanded(path: &Path) -> io::Result<PathBuf> {
    let mut parts = path.components();
    match parts.next() {
        Some(Component::Normal(first)) if first == "~" || first == "~root" => {
            Ok(absolute(parts.as_path()))
        }
        Some(Component::Normal(first)) if first.as_encoded_bytes().starts_with(b"~") => {
            Err(Errno::NOENT.into())
        }
        _ => Ok(absolute(path)),
    }
}

/// Without links and dots. The last part need not exist.
pub(crate) fn real(path: &Path) -> io::Result<PathBuf> {
    match std::fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match (path.parent(), path.file_name()) {
                (Some(parent), Some(name)) => Ok(std::fs::canonicalize(parent)?.join(name)),
                _ => Err(error),
            }
        }
        other => other,
    }
}

pub(crate) fn open(path: &Path, how: u32, wanted: &Wanted) -> io::Result<File> {
    let mut flags = match how & (READ | WRITE) {
        READ => OFlags::RDONLY,
        WRITE => OFlags::WRONLY,
        0 => return Err(Errno::INVAL.into()),
        _ => OFlags::RDWR,
    };
    let asked = [
        (APPEND, OFlags::APPEND),
        (CREATE, OFlags::CREATE),
        (TRUNCATE, OFlags::TRUNC),
        (EXCLUSIVE, OFlags::EXCL),
    ];
    for (bit, flag) in asked {
        flags.set(flag, how & bit != 0);
    }
    // A pipe without another end must not hold a thread for ever.
    flags |= OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::open(path, flags, wanted.mode_or(0o666))?))
}

pub(crate) fn open_directory(path: &Path) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(Dir::new(rustix::fs::open(path, flags, Mode::empty())?)?)
}

/// Empty at the end of the file.
pub(crate) fn read(file: &File, offset: u64, length: u32) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length.min(TRANSFER_BYTES) as usize];
    let mut filled = 0;
    // Fewer than asked for means the end to some clients.
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) if filled > 0 => break,
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Copies between open files; `length` 0 is until the end.
pub(crate) fn copy(
    (from, mut from_offset): (&File, u64),
    (to, mut to_offset): (&File, u64),
    length: u64,
) -> io::Result<()> {
    let mut left = if length == 0 { u64::MAX } else { length };
    let mut buffer = vec![0; COPY_BYTES];
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        let chunk = buffer.get_mut(..wanted).unwrap_or_default();
        let count = from.read_at(chunk, from_offset)?;
        if count == 0 {
            break;
        }
        to.write_all_at(chunk.get(..count).unwrap_or_default(), to_offset)?;
        from_offset = from_offset.saturating_add(count as u64);
        to_offset = to_offset.saturating_add(count as u64);
        left = left.saturating_sub(count as u64);
    }
    Ok(())
}

/// As the protocol has it: what is there is not replaced.
pub(crate) fn rename_to_free_name(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can.
        Err(Errno::INVAL) if to.symlink_metadata().is_err() => std::fs::rename(from, to),
        other => Ok(other?),
    }
}

pub(crate) fn make_directory(path: &Path, wanted: &Wanted) -> io::Result<()> {
    Ok(rustix::fs::mkdir(path, wanted.mode_or(0o777))?)
}

pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::unlink(path)?)
}

pub(crate) fn stat(path: &Path, follow: bool) -> io::Result<Stat> {
    Ok(if follow { rustix::fs::stat(path)? } else { rustix::fs::lstat(path)? })
}
