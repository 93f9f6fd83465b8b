//! Layers: unpacked once, shared by every image and container that stands on them.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read};
use std::path::Path;

use crate::Store;
use crate::blobs::Digesting;
use crate::compress::Seen;
use crate::compression::{self, Compression};
use crate::database::{Change, Table};
use crate::digests::{self, Digester};
use crate::error::{Result, StoreError};
use crate::frame_write::FrameWriter;
use crate::objects::{LayerRecord, VERSION};
use crate::room::Modest;
use crate::{atomic, layout, trees, unpack};

/// What was found in a layer's archive.
pub(crate) struct Unpacked {
    /// Of the tar.
    pub diff_id: String,
    pub tar_size: u64,
    /// Bytes of its files.
    pub size: u64,
    pub compression: Compression,
}

impl Store {
    pub fn layer(&self, diff_id: &str) -> Result<Option<LayerRecord>> {
        self.metadata().get(Table::Layers, diff_id)
    }

    /// Unpacks a spooled tar (plain or compressed), whose digest is `blob`. What is already there
    /// is not unpacked again. `expected` is the diff id a configuration names. `seen` is told how
    /// many bytes of the file were read.
    pub(crate) fn add_layer(
        &self,
        file: &Path,
        blob: &str,
        expected: Option<&str>,
        seen: impl FnMut(u64) + Send,
    ) -> Result<LayerRecord> {
        if let Some(expected) = expected {
            if !digests::is_own(expected) {
                return Err(StoreError::Invalid(format!("invalid diffID {expected}")));
            }
            if let Some(known) = self.layer(expected)? {
                return Ok(known);
            }
        }
        let folder = self.temporary("layer");
        let result = self.unpack_layer(file, blob, expected, &folder, seen);
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
        seen: impl FnMut(u64) + Send,
    ) -> Result<LayerRecord> {
        let archive = File::open(file).map_err(StoreError::io("open a layer"))?;
        let blob_size = archive.metadata().map_err(StoreError::io("open a layer"))?.len();
        let unpacked = unpack_into(Seen::new(archive, seen), blob, folder)?;
        if let Some(expected) = expected
            && expected != unpacked.diff_id
        {
            return Err(StoreError::WrongDigest {
                what: "layer".into(),
                expected: expected.into(),
                found: unpacked.diff_id,
            });
        }
        self.keep_layer(unpacked.record(blob, blob_size), folder)
    }

    /// Makes an unpacked layer visible, unless it has come in another way meanwhile.
    pub(crate) fn keep_layer(&self, record: LayerRecord, folder: &Path) -> Result<LayerRecord> {
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
        self.metadata().apply(&[Change::put(Table::Layers, &record.diff_id, &record)?])?;
        Ok(record)
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

impl Unpacked {
    /// Of a layer that came as a blob that is not kept.
    pub(crate) fn record(self, blob: &str, blob_size: u64) -> LayerRecord {
        LayerRecord {
            version: VERSION,
            diff_id: self.diff_id,
            size: self.size,
            tar_size: Some(self.tar_size),
            blob: blob.to_owned(),
            blob_size,
            blob_type: self.compression.media_type().unwrap_or_default().to_owned(),
            ..LayerRecord::default()
        }
    }
}

/// Unpacks a tar, plain or compressed, into a layer's folder, with all that makes it a tar again.
/// `blob` is the digest of it as it comes, which others calculate and compare.
pub(crate) fn unpack_into(
    archive: impl Read + Send,
    blob: &str,
    folder: &Path,
) -> Result<Unpacked> {
    let diff = layout::diff_in(folder);
    fs::create_dir_all(&diff).map_err(StoreError::io("make a layer's folder"))?;
    set_traversable(&diff)?;
    let writing = || StoreError::io("keep a layer's frame");
    let file = File::create(layout::frame_in(folder)).map_err(writing())?;
    let frame = FrameWriter::new(BufWriter::new(Modest::new(file))).map_err(writing())?;
    let (compression, reader) =
        compression::decompress(archive).map_err(StoreError::io("read a layer"))?;
    let mut reader = io::BufReader::with_capacity(64 * 1024, reader);
    let unpack = |reader: &mut dyn Read| -> Result<u64> {
        let mut reader = reader;
        let size = unpack::unpack(&mut reader, &diff, &layout::aside_in(folder), &frame)
            .map_err(StoreError::io("unpack a layer"))?;
        drain(&mut frame.watch(&mut reader)).map_err(StoreError::io("read a layer"))?;
        Ok(size)
    };
    let (diff_id, size) = if compression == Compression::None && digests::is_own(blob) {
        // The tar is what came.
        (blob.to_owned(), unpack(&mut reader)?)
    } else {
        let mut reader = Digesting::new(reader, Digester::default());
        let size = unpack(&mut reader)?;
        (reader.digest(), size)
    };
    let tar_size = frame.finish().map_err(writing())?;
    Ok(Unpacked { diff_id, tar_size, size, compression })
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
            Some(below) => crate::digests::digest_of(format!("{below} {diff_id}").as_bytes()),
        };
        chain.push(next);
    }
    chain
}
