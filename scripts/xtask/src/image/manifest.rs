//! The manifest: names, sizes and digests of the image's files. The host trusts nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::sources::digest;

#[derive(Serialize)]
struct Manifest {
    version: u32,
    arch: &'static str,
    files: BTreeMap<&'static str, Entry>,
}

#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    file: File,
    #[serde(skip_serializing_if = "Option::is_none")]
    packed: Option<File>,
}

#[derive(Serialize)]
struct File {
    name: String,
    size: u64,
    sha256: String,
}

const FILES: [(&str, &str); 3] =
    [("kernel", "vmlinux"), ("initramfs", "initramfs.cpio"), ("disk", "disk.qcow2")];

/// zstd's level for what is downloaded once and unpacked once.
const LEVEL: i32 = 19;

pub(super) fn write(output: &Path, packed: bool) -> Result<()> {
    let mut files = BTreeMap::new();
    for (role, name) in FILES {
        let packed = if packed { Some(pack(output, name)?) } else { None };
        files.insert(role, Entry { file: describe(output, name)?, packed });
    }
    report(&files);
    let manifest = Manifest { version: 1, arch: "x86_64", files };
    let text = serde_json::to_string_pretty(&manifest).context("writing the manifest")?;
    super::place_bytes(format!("{text}\n").as_bytes(), &output.join("manifest.json"))
}

fn pack(output: &Path, name: &str) -> Result<File> {
    let content = std::fs::read(output.join(name))?;
    let packed_name = format!("{name}.zst");
    let packed = zstd::encode_all(content.as_slice(), LEVEL).context("compressing")?;
    super::place_bytes(&packed, &output.join(&packed_name))?;
    describe(output, &packed_name)
}

fn describe(output: &Path, name: &str) -> Result<File> {
    let path = output.join(name);
    Ok(File {
        name: name.to_owned(),
        size: std::fs::metadata(&path).with_context(|| format!("{}", path.display()))?.len(),
        sha256: digest(&path)?,
    })
}

#[expect(clippy::print_stdout, reason = "the sizes are this task's result")]
fn report(files: &BTreeMap<&'static str, Entry>) {
    println!("{:<12} {:>12} {:>12}", "file", "bytes", "packed");
    for (role, entry) in files {
        let packed = entry.packed.as_ref().map_or("-".to_owned(), |file| file.size.to_string());
        println!("{role:<12} {:>12} {packed:>12}", entry.file.size);
    }
}
