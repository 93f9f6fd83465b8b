//! Pinned packages of Debian, fetched through the machine's own apt.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
pub(super) struct Sources {
    pub(super) kernel: KernelSource,
    pub(super) busybox: BusyboxSource,
}

#[derive(Deserialize)]
pub(super) struct KernelSource {
    pub(super) package: String,
    pub(super) version: String,
    pub(super) tarball: String,
    pub(super) sha256: String,
}

#[derive(Deserialize)]
pub(super) struct BusyboxSource {
    pub(super) package: String,
    pub(super) version: String,
    pub(super) file: String,
    pub(super) sha256: String,
}

impl Sources {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not valid", path.display()))
    }
}

/// One file out of a Debian package, checked against its digest and kept in the cache.
pub(super) fn fetch(
    cache: &Path,
    package: &str,
    version: &str,
    file: &str,
    sha256: &str,
) -> Result<PathBuf> {
    let name = Path::new(file).file_name().context("a source without a file name")?;
    let kept = cache.join(format!("source-{}", &sha256[..16])).join(name);
    if kept.exists() && digest(&kept)? == sha256 {
        return Ok(kept);
    }
    let work = tempfile::tempdir_in(cache).context("making a work directory")?;
    super::run(
        Command::new("apt-get")
            .args([
                "download",
                "-qq",
                "-o",
                "APT::Sandbox::User=root",
                &format!("{package}={version}"),
            ])
            .current_dir(work.path()),
    )
    .with_context(|| {
        format!("{package} {version} is pinned in images/sources.toml but apt does not offer it")
    })?;
    let archive = std::fs::read_dir(work.path())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get left no package")?;
    let unpacked = work.path().join("unpacked");
    super::run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&unpacked))?;
    let found = unpacked.join(file);
    let actual = digest(&found)?;
    if actual != sha256 {
        bail!("{file} of {package} {version} has the digest {actual}, pinned is {sha256}");
    }
    if let Some(parent) = kept.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::rename(&found, &kept).with_context(|| format!("keeping {}", kept.display()))?;
    Ok(kept)
}

/// SHA-256 of a file, in hex.
pub(super) fn digest(path: &Path) -> Result<String> {
    let reading = || format!("reading {}", path.display());
    let mut file = std::fs::File::open(path).with_context(reading)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer).with_context(reading)? {
            0 => return Ok(hex::encode(hash.finalize())),
            length => hash.update(&buffer[..length]),
        }
    }
}
