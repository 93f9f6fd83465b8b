//! The empty data disk: an ext4 file system in a small qcow2 file. The guest only mounts it and
//! grows it, so neither mke2fs nor the time it takes is part of a machine's creation.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The smallest disk a machine can have. Online growth reserves room for a thousand times that.
const SIZE_BYTES: u64 = 4 << 30;

/// mke2fs, so that nothing depends on the builder's mke2fs.conf.
const OPTIONS: &[&str] = &[
    "-q",
    "-F",
    "-t",
    "ext4",
    "-b",
    "4096",
    "-I",
    "256",
    "-i",
    "16384",
    "-m",
    "1",
    "-J",
    "size=64",
    "-L",
    "machine",
    "-U",
    "6d616368-696e-4000-8000-646174610000",
    "-O",
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum",
    "-E",
    "hash_seed=6d616368-696e-4000-8000-686173680000,lazy_itable_init=0,lazy_journal_init=0,assume_storage_prezeroed=1,root_owner=0:0",
];

pub(super) fn build(cache: &Path, target: &Path) -> Result<()> {
    let mut hash = Sha256::new();
    hash.update(include_bytes!("disk.rs"));
    let kept = cache.join(format!("disk-{}", hex::encode(&hash.finalize()[..16])));
    if !kept.exists() {
        let work = tempfile::tempdir_in(cache).context("making a work directory")?;
        let raw = work.path().join("disk.raw");
        let settings = work.path().join("mke2fs.conf");
        std::fs::write(&settings, "[fs_types]\next4 = {\n}\n")?;
        std::fs::File::create(&raw)?.set_len(SIZE_BYTES)?;
        super::run(
            Command::new("mke2fs")
                .args(OPTIONS)
                .arg(&raw)
                .env("PATH", path_with_sbin())
                .env("MKE2FS_CONFIG", &settings)
                .env("E2FSPROGS_FAKE_TIME", super::EPOCH.to_string()),
        )?;
        let packed = work.path().join("disk.qcow2");
        super::run(
            Command::new("qemu-img")
                // Compressed, since tables of an empty file system are zeros.
                .args(["convert", "-c", "-f", "raw", "-O", "qcow2", "-o", "lazy_refcounts=on"])
                .arg(&raw)
                .arg(&packed),
        )?;
        std::fs::rename(&packed, &kept).with_context(|| format!("keeping {}", kept.display()))?;
    }
    super::place(&kept, target)
}

/// Where Debian keeps mke2fs is not on every user's path.
fn path_with_sbin() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}
