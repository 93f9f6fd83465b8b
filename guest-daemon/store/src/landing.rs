//! Unpacking a layer as it comes, in one pass over its bytes. It is nobody's then, until it is kept.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read};
use std::path::{Path, PathBuf};

use crate::Store;
use crate::blobs::Digesting;
use crate::compress::Seen;
use crate::compression::{self, Compression};
use crate::digests::{self, Digester};
use crate::error::{Result, StoreError};
use crate::frame_write::FrameWriter;
use crate::objects::{LayerRecord, VERSION};
use crate::room::Modest;
use crate::{layout, trees, unpack};

const BUFFER: usize = 64 * 1024;

/// A layer that is unpacked and that nobody sees. What is not kept goes with the value.
#[derive(Debug)]
pub struct Landed {
    folder: PathBuf,
    record: LayerRecord,
}

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
    /// Takes in a tar stream, plain or compressed, to its end.
    pub fn land(&self, stream: impl Read + Send) -> Result<Landed> {
        let reading = || StoreError::io("read a layer");
        let (compression, stream) = compression::sniff(stream).map_err(reading())?;
        if compression == Compression::None {
            return self.land_tar(stream);
        }
        self.land_with(|folder| {
            let mut stream = Digesting::new(stream, Digester::default());
            let tar = compression.open(io::BufReader::with_capacity(BUFFER, &mut stream));
            let unpacked = unpack_digesting(tar.map_err(reading())?, compression, folder)?;
            drain(&mut stream).map_err(reading())?;
            Ok(unpacked.record(&stream.digest(), stream.count))
        })
    }

    /// The same of a plain one.
    pub(crate) fn land_tar(&self, tar: impl Read) -> Result<Landed> {
        self.land_with(|folder| {
            let unpacked = unpack_digesting(tar, Compression::None, folder)?;
            let (blob, size) = (unpacked.diff_id.clone(), unpacked.tar_size);
            Ok(unpacked.record(&blob, size))
        })
    }

    /// The same of a file with that digest; `seen` is told how many bytes of it were read.
    pub(crate) fn land_file(
        &self,
        file: &Path,
        digest: &str,
        seen: impl FnMut(u64) + Send,
    ) -> Result<Landed> {
        let opening = || StoreError::io("open a layer");
        let file = File::open(file).map_err(opening())?;
        let size = file.metadata().map_err(opening())?.len();
        self.land_with(|folder| {
            let unpacked = unpack_known(Seen::new(file, seen), digest, folder)?;
            Ok(unpacked.record(digest, size))
        })
    }

    /// Has a layer unpacked into a new folder.
    pub(crate) fn land_with(
        &self,
        unpack: impl FnOnce(&Path) -> Result<LayerRecord>,
    ) -> Result<Landed> {
        let folder = self.temporary("layer");
        let mut landed = Landed { folder, record: LayerRecord::default() };
        landed.record = unpack(&landed.folder)?;
        Ok(landed)
    }

    /// Makes a layer visible, unless it has come in another way meanwhile.
    pub fn keep(&self, landed: &Landed) -> Result<LayerRecord> {
        self.keep_layer(&landed.record, &landed.folder)
    }
}

impl Landed {
    pub fn diff_id(&self) -> &str {
        &self.record.diff_id
    }

    /// Bytes of the stream that it came as.
    pub(crate) fn blob_size(&self) -> u64 {
        self.record.blob_size
    }
}

impl Drop for Landed {
    fn drop(&mut self) {
        // What was kept is not there any more; the rest goes at the next start at the latest.
        drop(trees::remove(&self.folder));
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

/// Unpacks a stream, plain or compressed, whose digest is `blob`: others calculate and compare it.
pub(crate) fn unpack_known(
    stream: impl Read + Send,
    blob: &str,
    folder: &Path,
) -> Result<Unpacked> {
    let reading = || StoreError::io("read a layer");
    let (compression, stream) = compression::sniff(stream).map_err(reading())?;
    let tar = compression.open(stream).map_err(reading())?;
    if compression == Compression::None && digests::is_own(blob) {
        // The tar is what came.
        let (size, tar_size) = unpack_tar(tar, folder)?;
        return Ok(Unpacked { diff_id: blob.to_owned(), tar_size, size, compression });
    }
    unpack_digesting(tar, compression, folder)
}

fn unpack_digesting(tar: impl Read, compression: Compression, folder: &Path) -> Result<Unpacked> {
    let mut tar = Digesting::new(io::BufReader::with_capacity(BUFFER, tar), Digester::default());
    let (size, tar_size) = unpack_tar(&mut tar, folder)?;
    Ok(Unpacked { diff_id: tar.digest(), tar_size, size, compression })
}

/// Unpacks a tar into a layer's folder, with all that makes it a tar again. Returns the bytes of
/// its files and its own.
fn unpack_tar(mut tar: impl Read, folder: &Path) -> Result<(u64, u64)> {
    let diff = layout::diff_in(folder);
    fs::create_dir_all(&diff).map_err(StoreError::io("make a layer's folder"))?;
    set_traversable(&diff)?;
    let writing = || StoreError::io("keep a layer's frame");
    let file = File::create(layout::frame_in(folder)).map_err(writing())?;
    let frame = FrameWriter::new(BufWriter::new(Modest::new(file))).map_err(writing())?;
    let size = unpack::unpack(&mut tar, &diff, &layout::aside_in(folder), &frame)
        .map_err(StoreError::io("unpack a layer"))?;
    drain(&mut frame.watch(&mut tar)).map_err(StoreError::io("read a layer"))?;
    Ok((size, frame.finish().map_err(writing())?))
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
