//! Layers: unpacked once, shared by every image and container that stands on them.

use std::fs;
use std::path::Path;

use crate::Store;
use crate::atomic;
use crate::database::{Change, Table};
use crate::error::{Result, StoreError};
use crate::objects::LayerRecord;
use crate::trees;

impl Store {
    pub fn layer(&self, diff_id: &str) -> Result<Option<LayerRecord>> {
        self.metadata().get(Table::Layers, diff_id)
    }

    /// Makes an unpacked layer visible, unless it has come in another way meanwhile.
    pub(crate) fn keep_layer(&self, record: &LayerRecord, folder: &Path) -> Result<LayerRecord> {
        let opened = trees::open_directory(folder).map_err(StoreError::errno("open a layer"))?;
        rustix::fs::syncfs(&opened).map_err(StoreError::errno("synchronise a layer"))?;
        let _alone = self.layers_change();
        if let Some(known) = self.layer(&record.diff_id)? {
            trees::remove(folder)?;
            return Ok(known);
        }
        let place = self.layout().layer(&record.diff_id);
        if place.exists() {
            self.discard(&place)?;
        }
        fs::rename(folder, &place).map_err(StoreError::io("keep a layer"))?;
        atomic::sync_folder(&self.layout().layers())?;
        self.metadata().apply(&[Change::put(Table::Layers, &record.diff_id, record)?])?;
        Ok(record.clone())
    }

    /// Removes layers that no image and no container stands on any more.
    pub fn remove_layers(&self, diff_ids: &[String]) -> Result<()> {
        let _alone = self.layers_change();
        let mut changes = Vec::new();
        let mut gone = Vec::new();
        for diff_id in diff_ids {
            if let Some(layer) = self.layer(diff_id)? {
                changes.push(Change::remove(Table::Layers, diff_id));
                gone.push(layer);
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.metadata().apply(&changes)?;
        for layer in gone {
            self.discard(&self.layout().layer(&layer.diff_id))?;
            if layer.has_blob() {
                self.discard(&self.layout().blob(&layer.blob))?;
            }
        }
        Ok(())
    }
}

/// The chain id of each layer: what Docker calls a stack of layers up to it.
pub fn chain_ids(diff_ids: &[String]) -> Vec<String> {
    let mut chain: Vec<String> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let next = match chain.last() {
            None => diff_id.clone(),
            Some(below) => crate::digests::digest_of(format!("{below} {diff_id}").as_bytes()),
        };
        chain.push(next);
    }
    chain
}
