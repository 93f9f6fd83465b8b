//! Blobs: files named by the digest of their content.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use crate::Store;
use crate::atomic;
use crate::digests::{self, Digester, digest_of};
use crate::error::{Result, StoreError};
use crate::room::Modest;

/// Passes bytes through and remembers their digest and number.
#[derive(Debug)]
pub(crate) struct Digesting<T> {
    pub inner: T,
    digester: Digester,
    pub count: u64,
}

impl<T> Digesting<T> {
    pub(crate) fn new(inner: T, digester: Digester) -> Self {
        Self { inner, digester, count: 0 }
    }

    /// Of what went through.
    pub(crate) fn digest(&self) -> String {
        self.digester.clone().digest()
    }

    pub(crate) fn saw(&mut self, bytes: &[u8]) {
        self.digester.update(bytes);
        self.count += bytes.len() as u64;
    }
}

impl<T: Read> Read for Digesting<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.saw(&buffer[..length]);
        Ok(length)
    }
}

impl<T: Write> Write for Digesting<T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(buffer)?;
        self.saw(&buffer[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Store {
    /// Stores a small blob; returns its digest.
    pub(crate) fn put_blob(&self, content: &[u8]) -> Result<String> {
        let digest = digest_of(content);
        let path = self.layout().blob(&digest);
        if !path.exists() {
            atomic::write(&path, content, 0o600)?;
        }
        Ok(digest)
    }

    pub(crate) fn open_blob(&self, digest: &str) -> Result<File> {
        if !digests::is_own(digest) {
            return Err(StoreError::Invalid(format!("invalid digest {digest}")));
        }
        File::open(self.layout().blob(digest))
            .map_err(|_| StoreError::Missing(format!("blob {digest}")))
    }

    /// A whole blob, up to `limit` bytes.
    pub(crate) fn read_blob(&self, digest: &str, limit: u64) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.open_blob(digest)?
            .take(limit)
            .read_to_end(&mut content)
            .map_err(StoreError::io(format!("read {digest}")))?;
        Ok(content)
    }

    /// Writes a stream to a temporary file; returns its place, digest and length.
    pub(crate) fn spool(&self, reader: &mut impl Read) -> Result<(PathBuf, String, u64)> {
        self.spool_with("receive an archive", |writer| io::copy(reader, writer).map(drop))
    }

    /// The same with something that writes.
    pub(crate) fn spool_with(
        &self,
        doing: &str,
        write: impl FnOnce(&mut Digesting<Modest>) -> io::Result<()>,
    ) -> Result<(PathBuf, String, u64)> {
        let path = self.temporary("spool");
        let file = File::create(&path).map_err(StoreError::io("make a temporary file"))?;
        let mut writer = Digesting::new(Modest::new(file), Digester::default());
        match write(&mut writer) {
            Ok(()) => Ok((path, writer.digest(), writer.count)),
            Err(source) => {
                drop(fs::remove_file(&path));
                Err(StoreError::Io { doing: doing.into(), source })
            }
        }
    }
}
