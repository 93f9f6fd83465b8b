//! Receiving a layer in one pass: its bytes are checked by one thread while another decompresses
//! and unpacks them. Nothing is visible before both are content.

use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;

use crate::Store;
use crate::batch::{self, Batch};
use crate::blobs::Digesting;
use crate::digests::{self, Digester};
use crate::error::{Result, StoreError};
use crate::landing::unpack_known;
use crate::objects::LayerRecord;

/// What a layer has to be.
#[derive(Clone, Debug)]
pub struct ExpectedLayer {
    /// `sha256:…`, or of another algorithm, of the bytes as they come.
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
        let ExpectedLayer { blob, diff_id, .. } = expected;
        for (digest, fits) in
            [(blob, digests::is_digest(blob)), (diff_id, digests::is_own(diff_id))]
        {
            if !fits {
                return Err(StoreError::Invalid(format!("invalid digest {digest}")));
            }
        }
        let landed = self.land_with(|folder| receive_parts(expected, parts, folder))?;
        self.keep(&landed)
    }
}

fn receive_parts(
    expected: &ExpectedLayer,
    parts: impl Iterator<Item = io::Result<Bytes>> + Send,
    folder: &Path,
) -> Result<LayerRecord> {
    let (sender, receiver) = sync_channel(batch::WAITING);
    let (checked, unpacked) = std::thread::scope(|scope| {
        let checking = scope.spawn(move || check(expected, parts, sender));
        let parts = Parts { receiver, batch: Vec::new().into_iter(), rest: Bytes::new() };
        let unpacked = unpack_known(parts, &expected.blob, folder);
        (checking.join(), unpacked)
    });
    // Wrong bytes are also no good archive; that they are wrong explains it.
    checked.map_err(|_| StoreError::Invalid("a layer could not be received".into()))??;
    let unpacked = unpacked?;
    if unpacked.diff_id != expected.diff_id {
        return Err(StoreError::Invalid(
            "layers from manifest don't match image configuration".into(),
        ));
    }
    Ok(unpacked.record(&expected.blob, expected.size))
}

/// Passes the bytes on, and checks them.
fn check(
    expected: &ExpectedLayer,
    parts: impl Iterator<Item = io::Result<Bytes>>,
    sender: SyncSender<Vec<Bytes>>,
) -> Result<()> {
    let mut digesting = Digesting::new((), Digester::like(&expected.blob));
    // Whoever does not want more has failed. The digest will tell whose fault it is.
    let mut sender = Some(sender);
    let mut pass_on = |batch: Vec<Bytes>| {
        if sender.as_ref().is_some_and(|sender| sender.send(batch).is_err()) {
            sender = None;
        }
    };
    let mut batch = Batch::default();
    for part in parts {
        let part = part.map_err(StoreError::io("receive a layer"))?;
        digesting.saw(&part);
        if digesting.count > expected.size {
            break;
        }
        if let Some(full) = batch.add(part) {
            pass_on(full);
        }
    }
    pass_on(batch.take());
    if digesting.count == expected.size && digesting.digest() == expected.blob {
        return Ok(());
    }
    Err(StoreError::Invalid(format!(
        "filesystem layer verification failed for digest {}",
        expected.blob
    )))
}

/// What one thread sends, for another to read.
struct Parts {
    receiver: Receiver<Vec<Bytes>>,
    batch: std::vec::IntoIter<Bytes>,
    rest: Bytes,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            if let Some(part) = self.batch.next() {
                self.rest = part;
                continue;
            }
            match self.receiver.recv() {
                Ok(batch) => self.batch = batch.into_iter(),
                Err(_) => return Ok(0),
            }
        }
        let length = buffer.len().min(self.rest.len());
        buffer[..length].copy_from_slice(&self.rest.split_to(length));
        Ok(length)
    }
}
