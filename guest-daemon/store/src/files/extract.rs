//! `docker cp` into a container: a tar stream unpacked below a folder of it.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::words::said;
use super::{clean, open, place_of};
use crate::place::{self, FolderTimes};
use crate::tar_entry::{Kind, Meta};
use crate::{beneath, compression, tar_read, trees};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// How to unpack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extract {
    /// A folder is never replaced by something else, nor the other way round.
    pub keep_kinds: bool,
    /// Whose everything becomes; else the archive says so.
    pub owner: Option<(u32, u32)>,
}

/// The folder of a container that an archive is unpacked in.
#[derive(Debug)]
pub struct Destination {
    root: OwnedFd,
    folder: Arc<OwnedFd>,
    path: PathBuf,
}

impl Destination {
    /// Opens a path, through every link. `None` when it is no folder.
    pub fn open(root: impl AsFd, path: &str) -> io::Result<Option<Self>> {
        let path = clean(path);
        let folder = match open(&root, &path, FOLDER) {
            Err(Errno::NOTDIR) if open(&root, &path, OFlags::PATH).is_ok() => return Ok(None),
            other => other.map_err(|error| said("lstat", path.display(), &error.into()))?,
        };
        let path = place_of(&root, &folder)?;
        let root = root.as_fd().try_clone_to_owned()?;
        Ok(Some(Self { root, folder: Arc::new(folder), path }))
    }

    /// Where it is in the container, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Unpacks an archive, which may be compressed.
    pub fn extract(self, archive: impl Read + Send, how: Extract) -> io::Result<()> {
        let archive = compression::decompress(archive)?;
        let mut unpacking = Unpacking {
            destination: self,
            how,
            last_folder: None,
            folders: FolderTimes::default(),
            made_a_way_out: false,
        };
        tar_read::each(archive, |entry, meta| unpacking.entry(entry, meta))?;
        unpacking.set_times()
    }
}

struct Unpacking {
    destination: Destination,
    how: Extract,
    /// Most entries follow another of the same folder.
    last_folder: Option<(PathBuf, Arc<OwnedFd>)>,
    folders: FolderTimes,
    /// The archive has a link that leads out of the destination. From then on nothing is written
    /// outside of it, though links that were there before may lead there.
    made_a_way_out: bool,
}

impl Unpacking {
    fn entry(&mut self, entry: &mut impl Read, meta: &Meta) -> io::Result<()> {
        if meta.kind == Kind::Skip {
            return Ok(());
        }
        let path = beneath::clean(&meta.path).ok_or_else(|| self.outside(&meta.path))?;
        let (Some(name), Some(above)) = (path.file_name(), path.parent()) else {
            // The destination itself stays as it is.
            return Ok(());
        };
        let folder = self.folder(above)?;
        let name = Path::new(name);
        self.make_room(&folder, name, &path, meta)?;
        let mut meta = meta.clone();
        if let Some((uid, gid)) = self.how.owner {
            (meta.uid, meta.gid) = (uid, gid);
        }
        match meta.kind {
            Kind::HardLink => return self.hard_link(&meta, &folder, name),
            Kind::Symlink => self.check_link(&path, &meta.link)?,
            _ => {}
        }
        place::put(entry, &folder, name, &meta)
            .map_err(|error| said("write", self.shown(&path), &error))?;
        if meta.kind == Kind::Folder {
            self.folders.add(path, meta.modified);
            if self.folders.are_many() {
                self.set_times()?;
            }
        }
        Ok(())
    }

    /// The last entry of a name counts; only a folder is merged with one that is there.
    fn make_room(
        &mut self,
        folder: &OwnedFd,
        name: &Path,
        path: &Path,
        meta: &Meta,
    ) -> io::Result<()> {
        let stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            other => other.map_err(|error| said("lstat", self.shown(path), &error.into()))?,
        };
        let was_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let is_folder = meta.kind == Kind::Folder;
        if was_folder && is_folder {
            return Ok(());
        }
        if self.how.keep_kinds && was_folder != is_folder {
            let (old, new) = match was_folder {
                true => ("directory", "non-directory"),
                false => ("non-directory", "directory"),
            };
            let (path, below) = (self.shown(path), self.destination.path.display());
            return Err(io::Error::other(format!(
                "cannot overwrite {old} \"{path}\" with {new} \"{below}\""
            )));
        }
        self.last_folder = None;
        trees::remove_at(folder.as_fd(), name)
            .map_err(|error| said("unlinkat", self.shown(path), &error.into()))
    }

    fn hard_link(&mut self, meta: &Meta, folder: &OwnedFd, name: &Path) -> io::Result<()> {
        let wrong = || {
            let link = String::from_utf8_lossy(&meta.link).into_owned();
            io::Error::other(format!("invalid hardlink \"{}\" -> {link:?}", name.display()))
        };
        let target = beneath::clean(&meta.link).ok_or_else(wrong)?;
        let (Some(target_name), Some(above)) = (target.file_name(), target.parent()) else {
            return Err(wrong());
        };
        let above = self
            .resolve(above)
            .map_err(|error| said("link", self.shown(&target), &error.into()))?;
        rustix::fs::linkat(above, target_name, folder, name, AtFlags::empty())
            .map_err(|error| said("link", self.shown(&target), &error.into()))
    }

    /// A link may be absolute, but its text may not climb out of the destination.
    fn check_link(&mut self, path: &Path, target: &[u8]) -> io::Result<()> {
        let target = Path::new(std::ffi::OsStr::from_bytes(target));
        let mut depth = path.components().count().saturating_sub(1);
        self.made_a_way_out |= target.is_absolute();
        let in_root = self.destination.path == Path::new("/");
        for component in target.components() {
            match component {
                Component::Normal(_) => depth += 1,
                Component::ParentDir if depth == 0 && in_root => {}
                Component::ParentDir if depth == 0 => {
                    return Err(io::Error::other(format!(
                        "invalid symlink \"{}\" -> \"{}\"",
                        self.shown(path),
                        target.display()
                    )));
                }
                Component::ParentDir => depth -= 1,
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        Ok(())
    }

    /// The folder at a path of the archive, made where it is missing.
    fn folder(&mut self, path: &Path) -> io::Result<Arc<OwnedFd>> {
        if let Some((last, folder)) = &self.last_folder
            && last == path
        {
            return Ok(Arc::clone(folder));
        }
        let folder = self.make_folder(path).map_err(|error| match error {
            Errno::XDEV => self.outside(path.as_os_str().as_bytes()),
            error => said("mkdir", self.shown(path), &error.into()),
        })?;
        let folder = Arc::new(folder);
        self.last_folder = Some((path.to_owned(), Arc::clone(&folder)));
        Ok(folder)
    }

    fn make_folder(&self, path: &Path) -> Result<OwnedFd, Errno> {
        match self.resolve(path) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        let mut walked = PathBuf::new();
        let mut above = self.resolve(&walked)?;
        for component in path.components() {
            walked.push(component);
            above = match self.resolve(&walked) {
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(
                        &above,
                        component.as_os_str(),
                        Mode::from_raw_mode(0o755),
                    ) {
                        // A link that leads nowhere, or somebody was quicker.
                        Ok(()) | Err(Errno::EXIST) => self.resolve(&walked)?,
                        Err(error) => return Err(error),
                    }
                }
                other => other?,
            };
        }
        Ok(above)
    }

    /// Opens a folder of the archive: within the destination, or where a link of the container
    /// leads from there.
    fn resolve(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let Destination { root, folder, path: destination } = &self.destination;
        if destination == Path::new("/") {
            return open(root, path, FOLDER);
        }
        match super::resolve(&**folder, path, FOLDER, ResolveFlags::BENEATH) {
            Err(Errno::XDEV) if !self.made_a_way_out => open(root, &destination.join(path), FOLDER),
            other => other,
        }
    }

    fn set_times(&mut self) -> io::Result<()> {
        let mut folders = std::mem::take(&mut self.folders);
        Ok(folders.set(|path| self.resolve(path))?)
    }

    /// A path of the archive as the container has it.
    fn shown(&self, path: &Path) -> String {
        self.destination.path.join(path).display().to_string()
    }

    fn outside(&self, path: &[u8]) -> io::Error {
        let path = String::from_utf8_lossy(path);
        io::Error::other(format!("{path:?} is outside of {:?}", self.destination.path))
    }
}
