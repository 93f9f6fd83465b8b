//! Volumes: a folder each.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::Store;
use crate::database::{Change, Table};
use crate::error::{Result, StoreError};
use crate::objects::VolumeRecord;
use crate::{atomic, trees, view};

impl Store {
    /// Makes the folder (world-readable, as in dockerd) and then the record. The name has been
    /// checked to be one component.
    pub fn create_volume(&self, record: &VolumeRecord) -> Result<()> {
        let before = self.metadata().get::<VolumeRecord>(Table::Volumes, &record.name)?;
        if before.is_some_and(|before| before.going) {
            self.finish_removal(&record.name)?;
        }
        let data = self.layout().volume_data(&record.name);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&data)
            .map_err(StoreError::io(format!("make volume {}", record.name)))?;
        // After a power cut there is no record without a folder.
        for folder in
            [&*data, &self.layout().volumes().join(&record.name), &self.layout().volumes()]
        {
            atomic::sync_folder(folder)?;
        }
        self.metadata().apply(&[Change::put(Table::Volumes, &record.name, record)?])
    }

    /// Removes the folder and then the record. Whatever happens in between, nobody sees the volume
    /// again: a folder that a power cut brought back would be a new volume's old content.
    pub fn remove_volume(&self, name: &str) -> Result<()> {
        let Some(record) = self.metadata().get::<VolumeRecord>(Table::Volumes, name)? else {
            return Ok(());
        };
        let going = VolumeRecord { going: true, ..record };
        self.metadata().apply(&[Change::put(Table::Volumes, name, &going)?])?;
        self.finish_removal(name)
    }

    fn finish_removal(&self, name: &str) -> Result<()> {
        self.discard(&self.layout().volumes().join(name))?;
        atomic::sync_folder(&self.layout().volumes())?;
        self.metadata().apply(&[Change::remove(Table::Volumes, name)])
    }

    /// Volumes whose removal was begun and came to no end.
    pub(crate) fn finish_removals(&self) -> Result<()> {
        let all: Vec<VolumeRecord> = self.readable(Table::Volumes)?;
        all.iter().filter(|volume| volume.going).try_for_each(|volume| {
            tracing::info!(volume = volume.name, "removing what is left of a volume");
            self.finish_removal(&volume.name)
        })
    }

    pub fn volumes(&self) -> Result<Vec<VolumeRecord>> {
        let mut volumes: Vec<VolumeRecord> = self.readable(Table::Volumes)?;
        volumes.retain(|volume| !volume.going);
        Ok(volumes)
    }

    /// Bytes of a volume's files.
    pub fn volume_size(&self, name: &str) -> Result<u64> {
        trees::size(&self.layout().volume_data(name))
    }

    /// Whether an image has a folder at a path.
    pub fn has_folder(&self, layers: &[PathBuf], path: &Path) -> Result<bool> {
        let found = view::find_folder(layers, path);
        let doing = format!("look for {} in an image", path.display());
        found.map(|found| found.is_some()).map_err(StoreError::errno(doing))
    }

    /// Fills a volume that is still empty with what an image has at a path.
    pub fn copy_into_volume(&self, name: &str, layers: &[PathBuf], path: &Path) -> Result<()> {
        let doing = || format!("copy {} into volume {name}", path.display());
        let data = self.layout().volume_data(name);
        let target = trees::open_directory(&data).map_err(StoreError::errno(doing()))?;
        if !trees::names(&target).map_err(StoreError::errno(doing()))?.is_empty() {
            return Ok(());
        }
        let found = view::find_folder(layers, path).map_err(StoreError::errno(doing()))?;
        let Some(folders) = found else { return Ok(()) };
        view::copy(&folders, &target).map_err(StoreError::errno(doing()))
    }
}
