//! Copying disks and memories: at once where the file system can, otherwise in small steps, so that
//! whoever copies can stop in between, and without filling holes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::Error;

/// What one step copies at most; some ten milliseconds.
const STEP: u64 = 16 << 20;

/// A copy that is being made. The new file lasts once [`Self::step`] has said that it is complete
/// and its directory was synced.
#[derive(Debug)]
pub struct DiskCopy {
    from: File,
    to: File,
    path: PathBuf,
    length: u64,
    position: u64,
}

impl DiskCopy {
    /// Begins to copy `from`, which nobody writes meanwhile, to the new file `to` (0600).
    pub fn begin(from: &Path, to: &Path) -> Result<Self, Error> {
        let read = |source| Error::Io { action: "read", path: from.to_owned(), source };
        let source = File::open(from).map_err(read)?;
        let length = source.metadata().map_err(read)?.len();
        let target = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)
            .map_err(|source| Error::Io { action: "write", path: to.to_owned(), source })?;
        let position = if clones(&source, &target) { length } else { 0 };
        Ok(Self { from: source, to: target, path: to.to_owned(), length, position })
    }

    /// Copies a little more; `true` when everything is there and written down.
    pub fn step(&mut self) -> Result<bool, Error> {
        self.advance().map_err(|source| Error::Io {
            action: "write",
            path: self.path.clone(),
            source,
        })
    }

    /// Copies all of it.
    pub fn complete(mut self) -> Result<(), Error> {
        while !self.step()? {}
        Ok(())
    }

    fn advance(&mut self) -> io::Result<bool> {
        if let Some((begin, end)) = self.next_data()? {
            let wanted = (end - begin).min(STEP);
            rustix::fs::seek(&self.from, SeekFrom::Start(begin))?;
            rustix::fs::seek(&self.to, SeekFrom::Start(begin))?;
            let copied = io::copy(&mut (&self.from).take(wanted), &mut &self.to)?;
            if copied == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.position = begin + copied;
            return Ok(false);
        }
        self.to.set_len(self.length)?;
        self.to.sync_all()?;
        Ok(true)
    }

    /// The next part of the file that is not a hole.
    fn next_data(&self) -> io::Result<Option<(u64, u64)>> {
        if self.position >= self.length {
            return Ok(None);
        }
        let begin = match rustix::fs::seek(&self.from, SeekFrom::Data(self.position)) {
            Ok(begin) => begin,
            // There is only a hole left.
            Err(Errno::NXIO) => return Ok(None),
            // A file system that knows of no holes.
            Err(Errno::INVAL | Errno::NOTSUP) => return Ok(Some((self.position, self.length))),
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(&self.from, SeekFrom::Hole(begin))?;
        Ok(Some((begin, end.min(self.length))))
    }
}

/// Whether the file system has made the target share the source's blocks.
#[cfg(target_os = "linux")]
fn clones(from: &File, to: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn clones(_from: &File, _to: &File) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};

    use super::*;

    #[test]
    fn a_copy_has_the_same_bytes_and_holes_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        let file = File::create(&from).unwrap();
        file.write_all_at(b"begin", 0).unwrap();
        file.write_all_at(&vec![7; STEP as usize + 1], 64 << 20).unwrap();
        file.set_len(256 << 20).unwrap();

        DiskCopy::begin(&from, &to).unwrap().complete().unwrap();
        assert!(std::fs::read(&from).unwrap() == std::fs::read(&to).unwrap());
        let copied = to.metadata().unwrap();
        assert!(copied.blocks() * 512 < 64 << 20, "{} blocks", copied.blocks());
        assert_eq!(copied.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_empty_file_is_copied_and_nothing_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        std::fs::write(&from, "").unwrap();
        DiskCopy::begin(&from, &to).unwrap().complete().unwrap();
        assert_eq!(to.metadata().unwrap().len(), 0);
        assert!(DiskCopy::begin(&from, &to).is_err());
    }
}
