//! Locks that the kernel releases when their holder ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::Error;

/// Between two attempts at a lock that others hold for moments.
const RETRY: Duration = Duration::from_millis(10);

/// An exclusive lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Takes the lock, or fails at once while another holds it.
    pub fn try_exclusive(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { action: "lock", path: path.to_owned(), source };
        loop {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .mode(0o600)
                .open(path)
                .map_err(io)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(Error::Locked { path: path.to_owned() }),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(io(error.into())),
            }
            // The file may have been removed between open and lock; then it guards nothing.
            if same_file(&file, path).map_err(io)? {
                return Ok(Self { path: path.to_owned(), file });
            }
        }
    }

    /// Takes the lock, waiting for others for at most `limit`. There is no way to wait for a
    /// file lock with a bound, hence the attempts.
    pub fn exclusive(path: &Path, limit: Duration) -> Result<Self, Error> {
        let end = Instant::now() + limit;
        loop {
            match Self::try_exclusive(path) {
                Err(Error::Locked { .. }) if Instant::now() < end => std::thread::sleep(RETRY),
                outcome => return outcome,
            }
        }
    }

    /// Releases the lock and removes its file: there is nothing left to lock.
    pub fn remove(self) {
        // Another command may have removed it; a file that stays is harmless.
        let _gone = std::fs::remove_file(&self.path);
    }
}

impl Drop for Lock {
    /// Closing is not enough: a child of this process that has not become another program yet has
    /// the same file open.
    fn drop(&mut self) {
        // It is released at the latest when that is closed, too.
        flock(&self.file, FlockOperation::Unlock).ok();
    }
}

fn same_file(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match path.metadata() {
        Ok(named) => Ok(held.dev() == named.dev() && held.ino() == named.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
