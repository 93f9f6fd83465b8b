//! Builds the guest image from pinned sources, without root.

mod cpio;
mod disk;
mod initramfs;
mod kernel;
mod manifest;
mod sources;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use sources::Sources;

/// Seconds since 1970 that stand for "when it was built" in everything that wants a time.
const EPOCH: u64 = 1_767_225_600;

/// Builds kernel, initramfs and disk template into `output` and writes the manifest.
pub(crate) fn build(root: &Path, output: &Path, packed: bool) -> Result<()> {
    std::fs::create_dir_all(output).context("creating the image directory")?;
    let cache = cache_directory()?;
    let sources = Sources::read(&root.join("images/sources.toml"))?;

    kernel::build(root, &sources, &cache, &output.join("vmlinux"))?;
    initramfs::build(root, &sources, &cache, &output.join("initramfs.cpio"))?;
    disk::build(&cache, &output.join("disk.qcow2"))?;
    manifest::write(output, packed)?;
    Ok(())
}

/// Where finished parts are kept by content, outside the checkout.
fn cache_directory() -> Result<PathBuf> {
    let directory = match std::env::var_os("MACHINE_BUILD_CACHE") {
        Some(directory) => PathBuf::from(directory),
        None => dirs::cache_dir()
            .context("no cache directory: set MACHINE_BUILD_CACHE")?
            .join("machine-build"),
    };
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("creating {}", directory.display()))?;
    Ok(directory)
}

/// Runs a program and fails with its name when it fails.
fn run(command: &mut std::process::Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| {
        format!("{program} could not be started; scripts/install-packages installs what is missing")
    })?;
    if !status.success() {
        bail!("{program} failed: {status}");
    }
    Ok(())
}

/// Copies a file unless the target already has the same content; the target appears whole.
fn place(from: &Path, to: &Path) -> Result<()> {
    let content = std::fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    place_bytes(&content, to)
}

/// Writes a file unless it already has this content; it appears whole.
fn place_bytes(content: &[u8], to: &Path) -> Result<()> {
    if std::fs::read(to).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let partial = to.with_extension("partial");
    std::fs::write(&partial, content).with_context(|| format!("writing {}", partial.display()))?;
    std::fs::rename(&partial, to).with_context(|| format!("placing {}", to.display()))
}
