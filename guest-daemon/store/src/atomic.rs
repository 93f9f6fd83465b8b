//! Replacing a file so that a reader, and a machine that lost power, sees the old or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::{Result, StoreError};

/// Writes beside, synchronises, renames, synchronises the folder.
pub(crate) fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.new"));
    let doing = || format!("write {}", path.display());
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&temporary)
        .map_err(StoreError::io(doing()))?;
    file.write_all(content).map_err(StoreError::io(doing()))?;
    file.sync_all().map_err(StoreError::io(doing()))?;
    fs::rename(&temporary, path).map_err(StoreError::io(doing()))?;
    sync_folder(folder)
}

/// Makes renames within the folder last.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(StoreError::io(format!("synchronise {}", folder.display())))
}
