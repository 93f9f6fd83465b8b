//! Layers on their way to a registry: compressed, as registries expect them.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::Store;
use crate::blobs::Digesting;
use crate::compression::{self, GZIP};
use crate::digests::Digester;
use crate::error::{Result, StoreError};
use crate::objects::{KnownBlob, LayerRecord};

const CHUNK: usize = 64 * 1024;

impl Store {
    /// Hands a layer on in parts, compressed; one that is kept as it was received, and was
    /// compressed, as it is. `seen` is told how many bytes were read, of
    /// [`LayerRecord::read_size`]. Returns what was handed on, of no repository yet.
    pub fn send_layer(
        &self,
        layer: &LayerRecord,
        sink: impl FnMut(Bytes) -> io::Result<()>,
        seen: impl FnMut(u64) + Send,
    ) -> Result<KnownBlob> {
        let sending = || StoreError::io("send a layer");
        let mut writer =
            Digesting::new(Sink { sink, buffer: Vec::with_capacity(CHUNK) }, Digester::default());
        let as_it_is = if layer.has_blob() { self.blob_media_type(&layer.blob)? } else { None };
        if as_it_is.is_some() {
            let blob = Seen::new(self.open_blob(&layer.blob)?, seen);
            copy(blob, &mut writer).map_err(sending())?;
        } else {
            let tar = Seen::new(self.open_tar(layer)?, seen);
            let mut encoder = GzEncoder::new(&mut writer, Compression::default());
            copy(tar, &mut encoder).map_err(sending())?;
            encoder.finish().map_err(sending())?;
        }
        writer.flush().map_err(sending())?;
        Ok(KnownBlob {
            repository: String::new(),
            digest: writer.digest(),
            size: writer.count,
            media_type: as_it_is.unwrap_or(GZIP).to_owned(),
        })
    }

    /// The media type of a blob, or nothing if it is not compressed as registries know it.
    pub(crate) fn blob_media_type(&self, digest: &str) -> Result<Option<&'static str>> {
        let mut first = [0; 6];
        let mut file = self.open_blob(digest)?;
        // A shorter file is not compressed.
        drop(file.read_exact(&mut first));
        Ok(compression::detect(&first).media_type())
    }
}

fn copy(mut reader: impl Read, writer: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(()),
            length => writer.write_all(&buffer[..length])?,
        }
    }
}

/// Tells how many bytes were read.
pub(crate) struct Seen<R, F> {
    inner: R,
    count: u64,
    seen: F,
}

impl<R, F> Seen<R, F> {
    pub(crate) fn new(inner: R, seen: F) -> Self {
        Self { inner, count: 0, seen }
    }
}

impl<R: Read, F: FnMut(u64)> Read for Seen<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.count += length as u64;
        (self.seen)(self.count);
        Ok(length)
    }
}

/// Collects what is written into parts worth sending.
struct Sink<F> {
    sink: F,
    buffer: Vec<u8>,
}

impl<F: FnMut(Bytes) -> io::Result<()>> Write for Sink<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        (self.sink)(Bytes::from(full))
    }
}
