//! Rules of the whole store: unpacking, loading, saving, opening after damage.

mod containers;
mod exactness;
mod hostile;
mod images;
mod landing;
mod lying;
mod opening;
mod pushing;
mod rebuilding;
mod receiving;
mod removing;
mod unpacking;
mod volumes;

use std::io::{self, Read, Write};
use std::path::Path;

use crate::Store;
use crate::frame_write::FrameWriter;

pub(crate) fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("root")).unwrap();
    (folder, store)
}

/// Unpacks what is to be looked at, and no more.
pub(crate) fn unpack(archive: impl Read, root: &Path) -> io::Result<u64> {
    let frame = FrameWriter::new(io::sink())?;
    let aside = tempfile::tempdir_in(root.parent().unwrap())?;
    crate::unpack::unpack(archive, root, aside.path(), &frame)
}

/// A tar stream, entry by entry.
pub(crate) struct Tar(tar::Builder<Vec<u8>>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    pub(crate) fn header(kind: tar::EntryType, path: &[u8], size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header
    }

    pub(crate) fn add(mut self, mut header: tar::Header, content: &[u8]) -> Self {
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub(crate) fn file(self, path: &str, content: &[u8]) -> Self {
        let header = Self::header(tar::EntryType::Regular, path.as_bytes(), content.len() as u64);
        self.add(header, content)
    }

    pub(crate) fn folder(self, path: &str) -> Self {
        let mut header = Self::header(tar::EntryType::Directory, path.as_bytes(), 0);
        header.set_mode(0o755);
        self.add(header, b"")
    }

    pub(crate) fn link(self, kind: tar::EntryType, path: &str, target: &str) -> Self {
        let mut header = Self::header(kind, path.as_bytes(), 0);
        header.set_link_name_literal(target).unwrap();
        self.add(header, b"")
    }

    pub(crate) fn pax(mut self, extensions: &[(&str, &[u8])]) -> Self {
        self.0.append_pax_extensions(extensions.iter().copied()).unwrap();
        self
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// The same archive with the right checksum in every header, or most damage would be found there.
pub(crate) fn with_checksums(archive: &[u8]) -> Vec<u8> {
    let mut archive = archive.to_vec();
    for block in archive.chunks_exact_mut(512).filter(|block| block[257..].starts_with(b"ustar")) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().copied().map(u32::from).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    archive
}
