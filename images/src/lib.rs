//! The guest image: finds it, verifies it, unpacks it.
//!
//! An image is a directory with a `manifest.json` and, packed with zstd or not, the files that it
//! names: a kernel, an initramfs and the template of a machine's disk.
//!
//! **Invariant:** a path handed out belongs to a file whose every byte was just compared with the
//! manifest's digest.

mod digest;
mod find;
mod manifest;
mod unpack;

pub use find::{Location, architecture};
pub use manifest::{File, FileSet, Invalid, Manifest, Packed};

use std::path::{Path, PathBuf};

/// An image whose manifest was read; its files have not been looked at.
#[derive(Clone, Debug)]
pub struct Image {
    directory: PathBuf,
    manifest: Manifest,
    /// The digest of the manifest itself, hex: names this image among others.
    digest: String,
}

/// Files that are known to be as they were built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
    /// A small qcow2 file with an empty file system, to be copied.
    pub disk: PathBuf,
}

impl Image {
    /// Reads the manifest in `directory`.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(manifest::FILE_NAME);
        let bytes = manifest::read(&path)?;
        let manifest =
            Manifest::parse(&bytes).map_err(|source| Error::Manifest { path, source })?;
        if manifest.arch != architecture() {
            return Err(Error::Architecture {
                directory: directory.to_owned(),
                found: manifest.arch,
                needed: architecture(),
            });
        }
        let digest = digest::of_bytes(&bytes);
        Ok(Self { directory: directory.to_owned(), manifest, digest })
    }

    /// What the image consists of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The SHA-256 of the manifest, hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Verifies every file, all at once; what is only there packed is unpacked below `cache`.
    pub fn verify(&self, cache: &Path) -> Result<Verified, Error> {
        let cache = cache.join(&self.digest);
        let FileSet { kernel, initramfs, disk } = &self.manifest.files;
        let ready = |file| unpack::ready(&self.directory, &cache, file);
        std::thread::scope(|scope| {
            let kernel = scope.spawn(move || ready(kernel));
            let disk = scope.spawn(move || ready(disk));
            let initramfs = ready(initramfs)?;
            Ok(Verified { kernel: joined(kernel)?, initramfs, disk: joined(disk)? })
        })
    }
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Why there is no usable image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no guest image")]
    Missing { searched: Vec<PathBuf> },
    #[error("{path} is not an image manifest")]
    Manifest { path: PathBuf, source: Invalid },
    #[error("the guest image in {directory} is for {found}, {needed} is needed")]
    Architecture { directory: PathBuf, found: String, needed: &'static str },
    #[error("{path} of the guest image is missing")]
    FileMissing { path: PathBuf },
    #[error("{path} of the guest image is damaged: its sha256 is {found}, not {expected}")]
    Damaged { path: PathBuf, expected: String, found: String },
    #[error("could not {action} {path}")]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
}

#[cfg(test)]
mod tests;
