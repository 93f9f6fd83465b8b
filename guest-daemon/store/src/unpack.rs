//! Unpacking a layer's tar stream into a folder, in the form overlay reads: whiteouts become
//! character devices 0/0, opaque folders get an attribute.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, XattrFlags};
use rustix::io::Errno;

use crate::aside::Aside;
use crate::frame::PATH_LIMIT;
use crate::frame_write::FrameWriter;
use crate::place::FolderTimes;
use crate::tar_entry::{Kind, Meta};
use crate::{beneath, place, room, tar_read, trees};

const NO_FOLLOW: AtFlags = AtFlags::SYMLINK_NOFOLLOW;
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Folders and links have no size and take room all the same: after so many the disk is looked at.
const ENTRIES: u64 = 128;
const ROOM: u64 = 1 << 20;

/// Unpacks all of `archive`, which goes into `frame`, into `root`; files that others take the place
/// of go into `aside`. Returns the bytes of the files written.
pub(crate) fn unpack(
    archive: impl Read,
    root: &Path,
    aside: &Path,
    frame: &FrameWriter,
) -> io::Result<u64> {
    let root = trees::open_directory(root)?;
    let mut unpacking = Unpacking {
        place: std::fs::read_link(beneath::via_proc(&root))?,
        root: Arc::new(root),
        frame,
        aside: Aside::new(aside.to_owned()),
        last_folder: None,
        folders: FolderTimes::default(),
        entries: 0,
        size: 0,
    };
    tar_read::each(frame.watch(archive), |entry, meta| unpacking.entry(entry, meta))?;
    unpacking.set_times()?;
    Ok(unpacking.size)
}

struct Unpacking<'a> {
    root: Arc<OwnedFd>,
    /// Where the root is.
    place: PathBuf,
    frame: &'a FrameWriter,
    aside: Aside,
    /// Most entries follow another of the same folder.
    last_folder: Option<(PathBuf, Folder)>,
    folders: FolderTimes,
    entries: u64,
    size: u64,
}

#[derive(Clone)]
struct Folder {
    opened: Arc<OwnedFd>,
    /// Where it is below the root, whatever links led there; nothing when that is too long.
    real: Option<Arc<Path>>,
}

impl Unpacking<'_> {
    fn entry<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>, meta: &Meta) -> io::Result<()> {
        if meta.kind == Kind::Skip {
            return Ok(());
        }
        if self.entries.is_multiple_of(ENTRIES) {
            room::check_new(&*self.root, ROOM)?;
        }
        self.entries += 1;
        let path = beneath::clean(&meta.path).ok_or_else(|| breakout(&meta.path))?;
        let (Some(name), Some(above)) = (path.file_name(), path.parent()) else {
            return self.root_folder(meta);
        };
        let folder = self.folder(above)?;
        let result = match name.as_bytes() {
            OPAQUE => mark_opaque(&folder.opened),
            hidden if hidden.starts_with(b".wh..wh.") => return Ok(()),
            hidden if hidden.starts_with(WHITEOUT) => {
                let name = Path::new(std::ffi::OsStr::from_bytes(&hidden[WHITEOUT.len()..]));
                if name.as_os_str().is_empty() || name == Path::new("..") || name == Path::new(".")
                {
                    return Err(breakout(&meta.path));
                }
                self.forget_folder();
                self.whiteout(&folder.opened, name)
            }
            _ => return self.content(entry, meta, &path, &folder),
        };
        result.map_err(|error| at(&path, error))
    }

    fn content<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        meta: &Meta,
        path: &Path,
        folder: &Folder,
    ) -> io::Result<()> {
        let name = Path::new(path.file_name().unwrap_or_default());
        let opened = &folder.opened;
        self.make_room(opened, name, meta).map_err(|error| at(path, error))?;
        if meta.kind == Kind::HardLink {
            return self.hard_link(meta, opened, name).map_err(|error| at(path, error.into()));
        }
        // What is not in the layer as it is in the archive is kept with the rest of the archive.
        let real = folder.real.as_ref().map(|real| real.join(name));
        let real = real
            .filter(|real| real.as_os_str().len() < PATH_LIMIT && is_kept_as_it_is(entry, meta));
        if real.is_some() {
            self.frame.begin_file(entry.size())?;
        }
        self.size += place::put(entry, opened, name, meta).map_err(|error| at(path, error))?;
        if let Some(real) = real {
            let inode = rustix::fs::statat(opened, name, NO_FOLLOW)?.st_ino;
            self.frame.end_file(&real, inode)?;
        }
        if meta.kind == Kind::Folder {
            self.remember_times(path.to_owned(), meta)?;
        }
        Ok(())
    }

    fn hard_link(&self, meta: &Meta, folder: &OwnedFd, name: &Path) -> Result<(), Errno> {
        let target = beneath::clean(&meta.link).ok_or(Errno::XDEV)?;
        let above = beneath::open_folder(&*self.root, target.parent().ok_or(Errno::INVAL)?)?;
        let target = target.file_name().ok_or(Errno::INVAL)?;
        rustix::fs::linkat(above, target, folder, name, AtFlags::empty())
    }

    /// The last entry of a name counts; only a folder is merged with one that is there.
    fn make_room(&mut self, folder: &OwnedFd, name: &Path, meta: &Meta) -> io::Result<()> {
        match rustix::fs::statat(folder, name, NO_FOLLOW) {
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(stat)
                if meta.kind == Kind::Folder
                    && FileType::from_raw_mode(stat.st_mode) == FileType::Directory =>
            {
                Ok(())
            }
            Ok(_) => {
                self.forget_folder();
                self.aside.put(folder.as_fd(), name)
            }
        }
    }

    fn whiteout(&mut self, folder: &OwnedFd, name: &Path) -> io::Result<()> {
        self.aside.put(folder.as_fd(), name)?;
        Ok(rustix::fs::mknodat(folder, name, FileType::CharacterDevice, Mode::empty(), 0)?)
    }

    fn root_folder(&mut self, meta: &Meta) -> io::Result<()> {
        if meta.kind == Kind::Folder {
            place::attributes(&self.root, meta)?;
            self.remember_times(PathBuf::new(), meta)?;
        }
        Ok(())
    }

    fn folder(&mut self, path: &Path) -> io::Result<Folder> {
        if let Some((last, folder)) = &self.last_folder
            && last == path
        {
            return Ok(folder.clone());
        }
        let opened = beneath::make_folder(self.root.as_fd(), path)
            .map_err(|error| at(path, error.into()))?;
        let found = std::fs::read_link(beneath::via_proc(&opened));
        let real = found.as_ref().ok().and_then(|found| found.strip_prefix(&self.place).ok());
        let folder = Folder { real: real.map(Arc::from), opened: Arc::new(opened) };
        self.last_folder = Some((path.to_owned(), folder.clone()));
        Ok(folder)
    }

    /// Something was removed; the folder remembered may be below it.
    fn forget_folder(&mut self) {
        self.last_folder = None;
    }

    fn remember_times(&mut self, path: PathBuf, meta: &Meta) -> io::Result<()> {
        self.folders.add(path, meta.modified);
        if self.folders.are_many() { self.set_times() } else { Ok(()) }
    }

    fn set_times(&mut self) -> io::Result<()> {
        let root = &self.root;
        Ok(self.folders.set(|path| beneath::open_folder(&**root, path))?)
    }
}

fn is_kept_as_it_is<R: Read>(entry: &tar::Entry<'_, R>, meta: &Meta) -> bool {
    let is_sparse = meta.sparse.is_some() || entry.header().entry_type().is_gnu_sparse();
    meta.kind == Kind::File && !is_sparse && entry.size() > 0
}

fn mark_opaque(folder: &OwnedFd) -> io::Result<()> {
    Ok(rustix::fs::fsetxattr(folder, "trusted.overlay.opaque", b"y", XattrFlags::empty())?)
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
