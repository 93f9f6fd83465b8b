//! Layers: unpacked once, shared by every image and container that stands on them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::Store;
use crate::blobs::Digesting;
use crate::compression;
use crate::database::{Change, Table};
use crate::error::{Result, StoreError};
use crate::objects::{LayerRecord, VERSION};
use crate::{atomic, layout, trees, unpack};

impl Store {
    pub fn layer(&self, diff_id: &str) -> Result<Option<LayerRecord>> {
        self.metadata().get(Table::Layers, diff_id)
    }

    /// Unpacks a spooled tar (plain or compressed) and keeps the file as the layer's blob. What
    /// is already there is not unpacked again. `expected` is the diff id a configuration names.
    pub(crate) fn add_layer(
        &self,
        file: &Path,
        blob: &str,
        expected: Option<&str>,
    ) -> Result<LayerRecord> {
        if let Some(expected) = expected {
            if !layout::is_digest(expected) {
                return Err(StoreError::Invalid(format!("invalid diffID {expected}")));
            }
            if let Some(known) = self.layer(expected)? {
                return Ok(known);
            }
        }
        let folder = self.temporary("layer");
        let result = self.unpack_layer(file, blob, expected, &folder);
        if result.is_err() {
            // Emptied at the next start at the latest.
            drop(trees::remove(&folder));
        }
        result
    }

    fn unpack_layer(
        &self,
        file: &Path,
        blob: &str,
        expected: Option<&str>,
        folder: &Path,
    ) -> Result<LayerRecord> {
        let diff = folder.join("diff");
        fs::create_dir_all(&diff).map_err(StoreError::io("make a layer's folder"))?;
        set_traversable(&diff)?;
        let archive = File::open(file).map_err(StoreError::io("open a layer"))?;
        let blob_size = archive.metadata().map_err(StoreError::io("open a layer"))?.len();
        let (_, reader) =
            compression::decompress(archive).map_err(StoreError::io("read a layer"))?;
        let mut reader = Digesting::new(io::BufReader::with_capacity(64 * 1024, reader));
        let size = unpack::unpack(&mut reader, &diff).map_err(StoreError::io("unpack a layer"))?;
        drain(&mut reader).map_err(StoreError::io("read a layer"))?;
        let diff_id = reader.digest();
        if let Some(expected) = expected
            && expected != diff_id
        {
            return Err(StoreError::WrongDigest {
                what: "layer".into(),
                expected: expected.into(),
                found: diff_id,
            });
        }
        if let Some(known) = self.layer(&diff_id)? {
            trees::remove(folder)?;
            return Ok(known);
        }
        let opened = trees::open_directory(folder).map_err(StoreError::errno("open a layer"))?;
        rustix::fs::syncfs(&opened).map_err(StoreError::errno("synchronise a layer"))?;
        self.adopt_blob(file, blob)?;
        let place = self.layout().layer(&diff_id);
        if place.exists() {
            self.discard(&place)?;
        }
        fs::rename(folder, &place).map_err(StoreError::io("keep a layer"))?;
        atomic::sync_folder(&self.layout().layers())?;
        atomic::sync_folder(&self.layout().blobs())?;
        let record =
            LayerRecord { version: VERSION, diff_id, size, blob: blob.to_owned(), blob_size };
        self.metadata().apply(&[Change::put(Table::Layers, &record.diff_id, &record)?])?;
        Ok(record)
    }

    /// Removes layers that no image and no container stands on any more.
    pub(crate) fn remove_layers(&self, diff_ids: &[String]) -> Result<()> {
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
            self.discard(&self.layout().blob(&layer.blob))?;
        }
        Ok(())
    }
}

/// The root of a container's file system shows this mode when no archive says otherwise.
fn set_traversable(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
        .map_err(StoreError::io("make a layer's folder"))
}

/// The padding after the last entry belongs to the digest, too.
fn drain(reader: &mut impl Read) -> io::Result<u64> {
    io::copy(reader, &mut io::sink())
}

/// The chain id of each layer: what Docker calls a stack of layers up to it.
pub fn chain_ids(diff_ids: &[String]) -> Vec<String> {
    let mut chain: Vec<String> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let next = match chain.last() {
            None => diff_id.clone(),
            Some(below) => crate::blobs::digest_of(format!("{below} {diff_id}").as_bytes()),
        };
        chain.push(next);
    }
    chain
}
