//! Files that are seen whole or not at all, also after a power cut.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use crate::Error;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// 0600.
    Owner,
    /// 0644, in a directory that is private.
    Everyone,
}

impl Access {
    fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Everyone => 0o644,
        }
    }
}

/// Puts `content` in the place of whatever was there.
pub fn write(path: &Path, content: &[u8], access: Access) -> Result<(), Error> {
    let io = |source| Error::Io { action: "write", path: path.to_owned(), source };
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".writing-")
        .permissions(Permissions::from_mode(access.mode()))
        .tempfile_in(directory)
        .map_err(io)?;
    file.write_all(content).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    sync_directory(directory)
}

/// Reads a file that should not be longer than `limit`.
pub fn read(path: &Path, limit: u64) -> Result<String, Error> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(io)?;
    let length = io::Read::read_to_string(&mut io::Read::take(file, limit + 1), &mut text);
    if length.map_err(io)? as u64 > limit {
        return Err(io(io::Error::new(io::ErrorKind::FileTooLarge, "it is too long")));
    }
    Ok(text)
}

/// Removes a file, if it is there.
pub fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::Io { action: "remove", path: path.to_owned(), source }),
        Ok(()) => path.parent().map_or(Ok(()), sync_directory),
    }
}

/// Makes a new file; it lasts once the directory was synced.
pub(crate) fn write_new(path: &Path, content: &[u8], access: Access) -> Result<(), Error> {
    let io = |source| Error::Io { action: "write", path: path.to_owned(), source };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(access.mode())
        .open(path)
        .map_err(io)?;
    file.write_all(content).and_then(|()| file.sync_data()).map_err(io)
}

/// Makes a directory and those above it, if need be, for the user alone.
pub(crate) fn private_directory(path: &Path) -> Result<(), Error> {
    let io = |source| Error::Io { action: "make the directory", path: path.to_owned(), source };
    if path.is_dir() {
        // Somebody else's loose permissions must not expose keys.
        let mode = path.metadata().map_err(io)?.permissions().mode();
        if mode & 0o077 != 0 {
            std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(io)?;
        }
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)
}

pub(crate) fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|source| Error::Io {
        action: "sync",
        path: path.to_owned(),
        source,
    })
}

/// Removes a directory with everything in it, if it is there.
pub(crate) fn remove_tree(path: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::Io { action: "remove", path: path.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
