//! Unpacking a layer's tar stream into a folder, in the form overlay reads: whiteouts become
//! character devices 0/0, opaque folders get an attribute.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::tar_entry::{Kind, Meta};
use crate::{beneath, trees};

const NO_FOLLOW: AtFlags = AtFlags::SYMLINK_NOFOLLOW;
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Unpacks all of `archive` into `root`; returns the bytes of the files written.
pub(crate) fn unpack(archive: impl Read, root: &Path) -> io::Result<u64> {
    let root = trees::open_directory(root)?;
    let mut unpacking =
        Unpacking { root: Arc::new(root), last_folder: None, folders: Vec::new(), size: 0 };
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        unpacking.entry(&mut entry?)?;
    }
    unpacking.finish()
}

struct Unpacking {
    root: Arc<OwnedFd>,
    /// Most entries follow another of the same folder.
    last_folder: Option<(PathBuf, Arc<OwnedFd>)>,
    /// Times of folders are set last: writing into them changes them.
    folders: Vec<(PathBuf, Timespec)>,
    size: u64,
}

impl Unpacking {
    fn entry<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> io::Result<()> {
        let meta = Meta::read(entry)?;
        if meta.kind == Kind::Skip {
            return Ok(());
        }
        let path = beneath::clean(&meta.path).ok_or_else(|| breakout(&meta.path))?;
        let (Some(name), Some(above)) = (path.file_name(), path.parent()) else {
            return self.root_folder(&meta);
        };
        let folder = self.folder(above)?;
        let result = match name.as_bytes() {
            OPAQUE => mark_opaque(&folder),
            hidden if hidden.starts_with(b".wh..wh.") => return Ok(()),
            hidden if hidden.starts_with(WHITEOUT) => {
                let name = Path::new(std::ffi::OsStr::from_bytes(&hidden[WHITEOUT.len()..]));
                if name.as_os_str().is_empty() || name == Path::new("..") || name == Path::new(".")
                {
                    return Err(breakout(&meta.path));
                }
                self.forget_folder();
                whiteout(&folder, name)
            }
            _ => return self.content(entry, &meta, &path, &folder),
        };
        result.map_err(|error| at(&path, error.into()))
    }

    fn content<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        meta: &Meta,
        path: &Path,
        folder: &OwnedFd,
    ) -> io::Result<()> {
        let name = Path::new(path.file_name().unwrap_or_default());
        self.make_room(folder, name, meta).map_err(|error| at(path, error.into()))?;
        if meta.kind == Kind::File {
            self.size += write_file(entry, folder, name).map_err(|error| at(path, error))?;
        } else {
            self.node(meta, path, folder).map_err(|error| at(path, error.into()))?;
        }
        if meta.kind == Kind::HardLink {
            return Ok(());
        }
        attributes(folder, name, meta).map_err(|error| at(path, error.into()))?;
        if meta.kind == Kind::Folder {
            self.folders.push((path.to_owned(), meta.modified));
        }
        Ok(())
    }

    /// Whatever is not a file with content.
    fn node(&self, meta: &Meta, path: &Path, folder: &OwnedFd) -> Result<(), Errno> {
        let name = Path::new(path.file_name().unwrap_or_default());
        let private = Mode::from_raw_mode(0o600);
        let device = rustix::fs::makedev(meta.device.0, meta.device.1);
        match meta.kind {
            Kind::Folder => match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o700)) {
                Err(Errno::EXIST) => Ok(()),
                result => result,
            },
            Kind::Symlink => {
                rustix::fs::symlinkat(std::ffi::OsStr::from_bytes(&meta.link), folder, name)
            }
            Kind::HardLink => {
                let target = beneath::clean(&meta.link).ok_or(Errno::XDEV)?;
                let above =
                    beneath::open_folder(&*self.root, target.parent().ok_or(Errno::INVAL)?)?;
                let target = target.file_name().ok_or(Errno::INVAL)?;
                rustix::fs::linkat(above, target, folder, name, AtFlags::empty())
            }
            Kind::CharDevice => {
                rustix::fs::mknodat(folder, name, FileType::CharacterDevice, private, device)
            }
            Kind::BlockDevice => {
                rustix::fs::mknodat(folder, name, FileType::BlockDevice, private, device)
            }
            Kind::Fifo => rustix::fs::mknodat(folder, name, FileType::Fifo, private, 0),
            Kind::File | Kind::Skip => Ok(()),
        }
    }

    /// The last entry of a name counts; only a folder is merged with one that is there.
    fn make_room(&mut self, folder: &OwnedFd, name: &Path, meta: &Meta) -> Result<(), Errno> {
        match rustix::fs::statat(folder, name, NO_FOLLOW) {
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error),
            Ok(stat)
                if meta.kind == Kind::Folder
                    && FileType::from_raw_mode(stat.st_mode) == FileType::Directory =>
            {
                Ok(())
            }
            Ok(_) => {
                self.forget_folder();
                trees::remove_at(folder.as_fd(), name)
            }
        }
    }

    fn root_folder(&mut self, meta: &Meta) -> io::Result<()> {
        if meta.kind == Kind::Folder {
            let root = Arc::clone(&self.root);
            attributes(&root, Path::new("."), meta)?;
            self.folders.push((PathBuf::new(), meta.modified));
        }
        Ok(())
    }

    fn folder(&mut self, path: &Path) -> io::Result<Arc<OwnedFd>> {
        if let Some((last, folder)) = &self.last_folder
            && last == path
        {
            return Ok(Arc::clone(folder));
        }
        let folder = Arc::new(
            beneath::make_folder(self.root.as_fd(), path)
                .map_err(|error| at(path, error.into()))?,
        );
        self.last_folder = Some((path.to_owned(), Arc::clone(&folder)));
        Ok(folder)
    }

    /// Something was removed; the folder remembered may be below it.
    fn forget_folder(&mut self) {
        self.last_folder = None;
    }

    fn finish(self) -> io::Result<u64> {
        for (path, modified) in self.folders.iter().rev() {
            // It may have been replaced by a later entry.
            if let Ok(folder) = beneath::open_folder(&*self.root, path) {
                rustix::fs::futimens(&folder, &times(*modified))?;
            }
        }
        Ok(self.size)
    }
}

fn write_file<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    folder: &OwnedFd,
    name: &Path,
) -> io::Result<u64> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o600))?;
    let mut file = io::BufWriter::with_capacity(64 * 1024, File::from(file));
    let written = io::copy(entry, &mut file)?;
    file.flush()?;
    Ok(written)
}

/// Owner before mode and attributes: changing the owner clears set-user-id bits and capabilities.
fn attributes(folder: &OwnedFd, name: &Path, meta: &Meta) -> Result<(), Errno> {
    let (owner, group) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
    rustix::fs::chownat(folder, name, Some(owner), Some(group), NO_FOLLOW)?;
    if meta.kind != Kind::Symlink {
        let mode = Mode::from_raw_mode(meta.mode);
        rustix::fs::chmodat(folder, name, mode, AtFlags::empty())?;
    }
    if !meta.xattrs.is_empty() {
        let path = trees::via_proc(folder.as_fd(), name);
        for (key, value) in &meta.xattrs {
            // Overlay's own attributes from outside would change what the layers mean.
            if key.starts_with(b"trusted.overlay.") {
                continue;
            }
            match rustix::fs::lsetxattr(&path, key.as_slice(), value, XattrFlags::empty()) {
                Ok(()) => {}
                Err(Errno::OPNOTSUPP | Errno::PERM) => {
                    tracing::warn!(path = %name.display(), "an extended attribute is not kept");
                }
                Err(error) => return Err(error),
            }
        }
    }
    if meta.kind == Kind::Folder {
        return Ok(());
    }
    rustix::fs::utimensat(folder, name, &times(meta.modified), NO_FOLLOW)
}

fn whiteout(folder: &OwnedFd, name: &Path) -> Result<(), Errno> {
    trees::remove_at(folder.as_fd(), name)?;
    rustix::fs::mknodat(folder, name, FileType::CharacterDevice, Mode::empty(), 0)
}

fn mark_opaque(folder: &OwnedFd) -> Result<(), Errno> {
    rustix::fs::fsetxattr(folder, "trusted.overlay.opaque", b"y", XattrFlags::empty())
}

fn times(modified: Timespec) -> Timestamps {
    Timestamps { last_access: modified, last_modification: modified }
}

fn breakout(path: &[u8]) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{:?} is outside of the archive's root", String::from_utf8_lossy(path)),
    )
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
