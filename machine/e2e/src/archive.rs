//! Images made by hand, as tar streams.

use std::io::{Read, Write};

use anyhow::{Context, Result};
use serde_json::json;
use sha2::{Digest, Sha256};

/// Names under which busybox is found in the test images.
const APPLETS: &[&str] = &[
    "sh", "ash", "cat", "echo", "env", "false", "grep", "head", "hostname", "httpd", "id", "ip",
    "kill", "ls", "mkdir", "mount", "nc", "nslookup", "ping", "ps", "pwd", "seq", "sleep", "sort",
    "stty", "tail", "tee", "test", "top", "touch", "tr", "true", "tty", "umount", "uname", "wc",
    "wget", "yes", "dd", "df", "nproc", "stat", "readlink", "mknod", "chmod", "chown", "date",
    "rm", "cp", "mv", "cut", "ln",
];

/// A root file system with a static busybox, uncompressed.
pub fn busybox_root() -> Result<Vec<u8>> {
    let busybox = std::fs::read("/bin/busybox").context("busybox-static is not installed")?;
    let mut archive = tar::Builder::new(Vec::new());
    for directory in ["bin", "etc", "root", "tmp", "var", "dev", "proc", "sys"] {
        add(&mut archive, directory, tar::EntryType::Directory, 0o755, &[], "")?;
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\napp:x:1000:1000::/tmp:/bin/sh\n";
    let group = "root:x:0:\ndaemon:x:1:\napp:x:1000:\nextra:x:2000:app\n";
    add(&mut archive, "etc/passwd", tar::EntryType::Regular, 0o644, passwd.as_bytes(), "")?;
    add(&mut archive, "etc/group", tar::EntryType::Regular, 0o644, group.as_bytes(), "")?;
    add(&mut archive, "bin/busybox", tar::EntryType::Regular, 0o755, &busybox, "")?;
    for applet in APPLETS {
        add(
            &mut archive,
            &format!("bin/{applet}"),
            tar::EntryType::Symlink,
            0o777,
            &[],
            "busybox",
        )?;
    }
    archive.into_inner().context("closing the archive")
}

/// A layer with these files.
pub fn layer(files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        add(&mut archive, name, tar::EntryType::Regular, 0o644, content, "")?;
    }
    archive.into_inner().context("closing the archive")
}

/// So many bytes that do not get smaller, as no other image has them.
pub fn noise(bytes: usize) -> Result<Vec<u8>> {
    let mut noise = vec![0; bytes];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut noise)?;
    Ok(noise)
}

/// `sha256:…`
pub fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

/// As small as it gets.
pub fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}

/// An image's configuration: the document that its id is the digest of.
pub fn image_config(config: &serde_json::Value, layers: &[Vec<u8>]) -> String {
    let digests: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    json!({
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": digests},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "by hand"}],
    })
    .to_string()
}

/// What is at a path of a layer.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// An executable one.
    File(&'a str),
    Link(&'a str),
    Fifo,
}

/// A layer by hand, uncompressed.
pub fn hostile_layer(entries: &[(&str, Entry<'_>)]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, entry) in entries {
        let (kind, content, link) = match entry {
            Entry::File(content) => (tar::EntryType::Regular, *content, ""),
            Entry::Link(target) => (tar::EntryType::Symlink, "", *target),
            Entry::Fifo => (tar::EntryType::Fifo, "", ""),
        };
        add(&mut archive, path, kind, 0o755, content.as_bytes(), link)?;
    }
    archive.into_inner().context("closing the archive")
}

/// What `docker save` writes: one image with these layers.
pub fn docker_archive(
    name: &str,
    config: serde_json::Value,
    layers: &[Vec<u8>],
) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut files = Vec::new();
    for layer in layers {
        let file = format!("{}/layer.tar", hex::encode(Sha256::digest(layer)));
        add(&mut archive, &file, tar::EntryType::Regular, 0o644, layer, "")?;
        files.push(file);
    }
    let config = image_config(&config, layers);
    let config_file = format!("{}.json", hex::encode(Sha256::digest(&config)));
    add(&mut archive, &config_file, tar::EntryType::Regular, 0o644, config.as_bytes(), "")?;
    let manifest =
        json!([{"Config": config_file, "RepoTags": [name], "Layers": files}]).to_string();
    add(&mut archive, "manifest.json", tar::EntryType::Regular, 0o644, manifest.as_bytes(), "")?;
    archive.into_inner().context("closing the archive")
}

/// An OCI layout with this index and these blobs.
pub fn oci_layout(index: &str, blobs: &[&[u8]]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for blob in blobs {
        let path = format!("blobs/{}", digest(blob).replace(':', "/"));
        add(&mut archive, &path, tar::EntryType::Regular, 0o644, blob, "")?;
    }
    add(&mut archive, "index.json", tar::EntryType::Regular, 0o644, index.as_bytes(), "")?;
    archive.into_inner().context("closing the archive")
}

fn add(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &str,
    kind: tar::EntryType,
    mode: u32,
    content: &[u8],
    link: &str,
) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    if link.is_empty() {
        archive.append_data(&mut header, path, content)?;
    } else {
        archive.append_link(&mut header, path, link)?;
    }
    Ok(())
}
