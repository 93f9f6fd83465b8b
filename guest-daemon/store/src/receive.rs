//! Receiving a layer in one pass: its bytes are checked and kept by one thread while another
//! decompresses and unpacks them. Nothing is visible before both are content.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;

use crate::Store;
use crate::blobs::Digesting;
use crate::error::{Result, StoreError};
use crate::layers::unpack_into;
use crate::objects::{LayerRecord, VERSION};
use crate::room::Modest;
use crate::{layout, trees};

/// Parts on their way from one thread to the other; each has some ten kilobytes.
const QUEUE: usize = 16;

/// What a layer has to be.
#[derive(Clone, Debug)]
pub struct ExpectedLayer {
    /// `sha256:…` of the bytes as they come.
    pub blob: String,
    pub size: u64,
    /// `sha256:…` of the tar within.
    pub diff_id: String,
}

impl Store {
    /// Takes in a layer whose bytes come in parts. Blocks until they have come.
    pub fn receive_layer(
        &self,
        expected: &ExpectedLayer,
        parts: impl Iterator<Item = io::Result<Bytes>> + Send,
    ) -> Result<LayerRecord> {
        for digest in [&expected.blob, &expected.diff_id] {
            if !layout::is_digest(digest) {
                return Err(StoreError::Invalid(format!("invalid digest {digest}")));
            }
        }
        let (folder, file) = (self.temporary("layer"), self.temporary("blob"));
        let result = self.receive_parts(expected, parts, &folder, &file);
        if result.is_err() {
            // Emptied at the next start at the latest.
            drop(trees::remove(&folder));
        }
        // It has become the blob, or nobody needs it.
        drop(fs::remove_file(&file));
        result
    }

    fn receive_parts(
        &self,
        expected: &ExpectedLayer,
        parts: impl Iterator<Item = io::Result<Bytes>> + Send,
        folder: &Path,
        file: &Path,
    ) -> Result<LayerRecord> {
        let (sender, receiver) = sync_channel(QUEUE);
        let (kept, unpacked) = std::thread::scope(|scope| {
            let keeping = scope.spawn(move || keep(expected, parts, file, sender));
            let unpacked = unpack_into(Parts { receiver, rest: Bytes::new() }, folder);
            (keeping.join(), unpacked)
        });
        // Wrong bytes are also no good archive; that they are wrong explains it.
        kept.map_err(|_| StoreError::Invalid("a layer could not be received".into()))??;
        let (size, diff_id) = unpacked?;
        if diff_id != expected.diff_id {
            return Err(StoreError::Invalid(
                "layers from manifest don't match image configuration".into(),
            ));
        }
        let record = LayerRecord {
            version: VERSION,
            diff_id,
            size,
            blob: expected.blob.clone(),
            blob_size: expected.size,
            ..LayerRecord::default()
        };
        self.keep_layer(record, folder, file)
    }
}

/// Writes the bytes to a file, passes them on, and checks them.
fn keep(
    expected: &ExpectedLayer,
    parts: impl Iterator<Item = io::Result<Bytes>>,
    file: &Path,
    sender: SyncSender<Bytes>,
) -> Result<()> {
    let writing = || StoreError::io("keep a layer");
    let file = Modest::new(File::create(file).map_err(writing())?);
    let file = BufWriter::with_capacity(256 * 1024, file);
    let mut writer = Digesting::new(file);
    let mut sender = Some(sender);
    for part in parts {
        let part = part.map_err(StoreError::io("receive a layer"))?;
        writer.write_all(&part).map_err(writing())?;
        if writer.count > expected.size {
            break;
        }
        // Whoever does not want more has failed. The digest will tell whose fault it is.
        if sender.as_ref().is_some_and(|sender| sender.send(part).is_err()) {
            sender = None;
        }
    }
    writer.flush().map_err(writing())?;
    if writer.count == expected.size && writer.digest() == expected.blob {
        return Ok(());
    }
    Err(StoreError::Invalid(format!(
        "filesystem layer verification failed for digest {}",
        expected.blob
    )))
}

/// What one thread sends, for another to read.
struct Parts {
    receiver: Receiver<Bytes>,
    rest: Bytes,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.receiver.recv() {
                Ok(part) => self.rest = part,
                Err(_) => return Ok(0),
            }
        }
        let length = buffer.len().min(self.rest.len());
        buffer[..length].copy_from_slice(&self.rest.split_to(length));
        Ok(length)
    }
}
