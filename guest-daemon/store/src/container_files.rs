//! What a container has on the disk besides its record.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use crate::Store;
use crate::database::{Change, Table};
use crate::error::{Result, StoreError};
use crate::{room, trees};

/// What a container needs at the least.
const LEAST_ROOM: u64 = 64 * 1024;

/// A longer hosts file was not made by the engine alone.
const LONGEST_FILE: u64 = 1 << 20;

impl Store {
    /// Makes a container's folders.
    pub fn create_container_folder(&self, id: &str) -> Result<()> {
        let folder = self.layout().container(id);
        room::check(self.layout().root(), LEAST_ROOM)
            .map_err(StoreError::io("make a container"))?;
        for (name, mode) in [("upper", 0o755), ("work", 0o700), ("merged", 0o700)] {
            let path = folder.join(name);
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o710)
                .create(&path)
                .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
                .map_err(StoreError::io(format!("make {}", path.display())))?;
        }
        Ok(())
    }

    /// Writes `hosts`, `hostname` or `resolv.conf`. In place, as a running container may have it
    /// mounted.
    pub fn write_container_file(&self, id: &str, name: &str, content: &str) -> Result<()> {
        let path = self.layout().container_file(id, name);
        fs::write(&path, content)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o644)))
            .map_err(StoreError::io(format!("write {}", path.display())))
    }

    /// Changes such a file as it is now. The container may have written anything there: what is no
    /// text or too long stays as it is.
    pub fn change_container_file(
        &self,
        id: &str,
        name: &str,
        change: impl FnOnce(&str) -> String,
    ) -> Result<()> {
        let path = self.layout().container_file(id, name);
        let mut bytes = Vec::new();
        fs::File::open(&path)
            .and_then(|file| file.take(LONGEST_FILE + 1).read_to_end(&mut bytes))
            .map_err(StoreError::io(format!("read {}", path.display())))?;
        match String::from_utf8(bytes) {
            Ok(text) if text.len() as u64 <= LONGEST_FILE => {
                self.write_container_file(id, name, &change(&text))
            }
            _ => Ok(()),
        }
    }

    /// Makes sure that the folder is on the disk as it is, before a record says that it is there.
    pub fn sync_container_folder(&self, id: &str) -> Result<()> {
        let folder = self.layout().container(id);
        let parent = folder.parent().unwrap_or(&folder);
        for path in [folder.as_path(), parent] {
            fs::File::open(path)
                .and_then(|folder| folder.sync_all())
                .map_err(StoreError::io(format!("sync {}", path.display())))?;
        }
        Ok(())
    }

    /// Removes the record, then the folder.
    pub fn remove_container(&self, id: &str) -> Result<()> {
        self.metadata().apply(&[Change::remove(Table::Containers, id)])?;
        self.discard(&self.layout().container(id))
    }

    /// Bytes written above the image.
    pub fn container_size(&self, id: &str) -> Result<u64> {
        trees::size(&self.layout().container_file(id, "upper"))
    }

    /// Whether a path of the guest exists, for binds.
    pub fn guest_path_exists(&self, path: &str) -> bool {
        fs::symlink_metadata(path).is_ok()
    }

    /// Makes a bind's missing source a folder.
    pub fn make_guest_folder(&self, path: &str) -> Result<()> {
        match fs::metadata(path) {
            Ok(_) => Ok(()),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(path)
                .map_err(StoreError::io(format!("make bind source {path}"))),
            Err(source) => Err(StoreError::Io { doing: format!("look at {path}"), source }),
        }
    }

    /// The folder in memory that outlives the daemon but not the machine.
    pub fn make_run_root(path: &Path) -> Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(StoreError::io(format!("make {}", path.display())))
    }

    /// How many descriptors this process has.
    pub fn open_files(&self) -> usize {
        fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
    }
}
