//! A container's root as a tar stream: all of it for `export`, what changed for `commit`. Mounts are
//! not part of it.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags};

use crate::Store;
use crate::error::{Result, StoreError};
use crate::tar_write::TarWriter;
use crate::walk::{Tree, is_opaque, is_whiteout, walk};
use crate::{beneath, trees, view};

impl Store {
    /// Writes what a container standing on `layers` (topmost first) has in its root. May block on
    /// the writer.
    pub fn export_container(&self, id: &str, layers: &[PathBuf], writer: impl Write) -> Result<()> {
        let mut folders = vec![self.layout().container_file(id, "upper")];
        folders.extend_from_slice(layers);
        export(&folders, writer).map_err(StoreError::io("export the container"))
    }
}

fn export(folders: &[PathBuf], writer: impl Write) -> io::Result<()> {
    let mut archive = TarWriter::new(writer);
    walk(Tree::Layers, view::roots(folders)?, &mut |path, entry, stat| {
        archive.add(path.as_os_str().as_bytes(), entry, stat)
    })?;
    archive.finish()?.flush()
}

/// Writes a folder that overlay filled as a layer's stream: what is gone is marked by names.
pub(crate) fn write_layer(upper: &Path, writer: impl Write) -> io::Result<()> {
    let mut archive = TarWriter::new(writer);
    let top = trees::open_directory(upper)?;
    walk(Tree::OneLayer, vec![top], &mut |path, entry, stat| {
        let bytes = path.as_os_str().as_bytes();
        if is_whiteout(stat) {
            return archive.add_mark(&mark(path), stat);
        }
        archive.add(bytes, entry, stat)?;
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if is_folder && is_opaque(&beneath::reopen(entry, OFlags::RDONLY | OFlags::DIRECTORY)?) {
            archive.add_mark(&[bytes, b"/.wh..wh..opq"].concat(), stat)?;
        }
        Ok(())
    })?;
    archive.finish()?.flush()
}

/// The name that says that another is gone.
fn mark(path: &Path) -> Vec<u8> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let above = path.parent().unwrap_or(Path::new("")).join(".wh.");
    [above.as_os_str().as_bytes(), name].concat()
}
