//! `manifest.json`: what an image consists of.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Error;

pub(crate) const FILE_NAME: &str = "manifest.json";
const VERSION: u32 = 1;
const SIZE_LIMIT: u64 = 64 * 1024;

/// The contract between the image's build and the `machine` command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always 1.
    pub version: u32,
    /// `x86_64` or `aarch64`.
    pub arch: String,
    pub files: FileSet,
}

/// The files of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSet {
    pub kernel: File,
    pub initramfs: File,
    pub disk: File,
}

/// A file as it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// A plain file name in the image's directory.
    pub name: String,
    pub size: u64,
    /// Hex.
    pub sha256: String,
    /// The same file as it is shipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packed: Option<Packed>,
}

/// A file packed with zstd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    pub name: String,
    pub size: u64,
    /// Hex.
    pub sha256: String,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    #[error("it is not the expected JSON")]
    Json(#[from] serde_json::Error),
    #[error("it is of version {0}, only 1 is understood")]
    Version(u32),
    #[error("{0:?} is not a plain file name")]
    Name(String),
    #[error("{0:?} is not a sha256 digest")]
    Digest(String),
}

impl Manifest {
    /// Reads and checks a manifest.
    pub fn parse(bytes: &[u8]) -> Result<Self, Invalid> {
        let manifest: Self = serde_json::from_slice(bytes)?;
        if manifest.version != VERSION {
            return Err(Invalid::Version(manifest.version));
        }
        let FileSet { kernel, initramfs, disk } = &manifest.files;
        for file in [kernel, initramfs, disk] {
            check(&file.name, &file.sha256)?;
            if let Some(packed) = &file.packed {
                check(&packed.name, &packed.sha256)?;
            }
        }
        Ok(manifest)
    }
}

fn check(name: &str, sha256: &str) -> Result<(), Invalid> {
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    if !plain {
        return Err(Invalid::Name(name.to_owned()));
    }
    let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if sha256.len() != 64 || !sha256.bytes().all(digits) {
        return Err(Invalid::Digest(sha256.to_owned()));
    }
    Ok(())
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read as _;
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(io)?.take(SIZE_LIMIT).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}
