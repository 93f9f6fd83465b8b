//! Writing images out: an archive that is a docker-archive and an OCI layout at once, with the
//! layers' bytes as they were received.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

use serde_json::{Value, json};

use crate::Store;
use crate::blobs;
use crate::error::{Result, StoreError};
use crate::objects::ImageRecord;

/// An image to save, with the names it is saved under.
#[derive(Clone, Debug)]
pub struct SavedImage {
    pub record: ImageRecord,
    pub names: Vec<SavedName>,
    /// The configuration as it was received.
    pub document: Vec<u8>,
}

/// A name in its three forms.
#[derive(Clone, Debug)]
pub struct SavedName {
    /// `busybox:latest`
    pub familiar: String,
    /// `docker.io/library/busybox:latest`
    pub canonical: String,
    pub tag: String,
}

struct Archive<W: Write> {
    tar: tar::Builder<W>,
    written: BTreeSet<String>,
}

impl Store {
    /// Writes the archive. May block on the writer.
    pub fn save_archive(&self, images: &[SavedImage], writer: impl Write) -> Result<()> {
        let mut archive = Archive { tar: tar::Builder::new(writer), written: BTreeSet::new() };
        let failed = || StoreError::io("write the archive");
        archive.folder("blobs/").map_err(failed())?;
        archive.folder("blobs/sha256/").map_err(failed())?;
        let (mut docker, mut index) = (Vec::new(), Vec::new());
        let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for image in images {
            let (manifest, size, layers) = self.save_image(image, &mut archive)?;
            let names: Vec<&str> = image.names.iter().map(|name| name.familiar.as_str()).collect();
            let paths: Vec<String> = layers.iter().map(|layer| path_of(layer)).collect();
            docker.push(json!({
                "Config": path_of(&image.record.id),
                "RepoTags": if names.is_empty() { Value::Null } else { json!(names) },
                "Layers": paths,
            }));
            index.extend(descriptors(image, &manifest, size));
            for name in &image.names {
                if let (Some(top), Some((repository, tag))) =
                    (layers.last(), name.familiar.rsplit_once(':'))
                {
                    repositories
                        .entry(repository.to_owned())
                        .or_default()
                        .insert(tag.to_owned(), top.replace("sha256:", ""));
                }
            }
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": index,
        });
        archive.document("index.json", &index)?;
        archive.document("manifest.json", &Value::Array(docker))?;
        archive.document("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}))?;
        if !repositories.is_empty() {
            archive.document("repositories", &json!(repositories))?;
        }
        archive.tar.finish().map_err(failed())
    }

    /// Writes an image's blobs; returns its manifest's digest and size, and its layers' blobs.
    fn save_image<W: Write>(
        &self,
        image: &SavedImage,
        archive: &mut Archive<W>,
    ) -> Result<(String, usize, Vec<String>)> {
        let failed = || StoreError::io("write the archive");
        let config = &image.document;
        archive
            .file(&path_of(&image.record.id), config.len() as u64, config.as_slice())
            .map_err(failed())?;
        let mut layers = Vec::new();
        let mut blobs = Vec::new();
        for diff_id in &image.record.layers {
            let layer = self
                .layer(diff_id)?
                .ok_or_else(|| StoreError::Missing(format!("layer {diff_id}")))?;
            let mut file = self.open_blob(&layer.blob)?;
            let mut first = [0; 4];
            let length = file.read(&mut first).map_err(StoreError::io("read a layer"))?;
            layers.push(json!({
                "mediaType": media_type(&first[..length]),
                "digest": layer.blob,
                "size": layer.blob_size,
            }));
            let file = self.open_blob(&layer.blob)?;
            archive.file(&path_of(&layer.blob), layer.blob_size, file).map_err(failed())?;
            blobs.push(layer.blob);
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": image.record.id,
                "size": config.len(),
            },
            "layers": layers,
        });
        let manifest = serde_json::to_vec(&manifest).map_err(StoreError::Encode)?;
        let digest = blobs::digest_of(&manifest);
        archive
            .file(&path_of(&digest), manifest.len() as u64, manifest.as_slice())
            .map_err(failed())?;
        Ok((digest, manifest.len(), blobs))
    }
}

impl<W: Write> Archive<W> {
    fn folder(&mut self, name: &str) -> io::Result<()> {
        let mut header = header(0, 0o755);
        header.set_entry_type(tar::EntryType::Directory);
        self.tar.append_data(&mut header, name, io::empty())
    }

    fn file(&mut self, name: &str, size: u64, content: impl Read) -> io::Result<()> {
        if !self.written.insert(name.to_owned()) {
            return Ok(());
        }
        self.tar.append_data(&mut header(size, 0o644), name, content.take(size))
    }

    fn document(&mut self, name: &str, document: &Value) -> Result<()> {
        let bytes = serde_json::to_vec(document).map_err(StoreError::Encode)?;
        self.file(name, bytes.len() as u64, bytes.as_slice())
            .map_err(StoreError::io("write the archive"))
    }
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn descriptors(image: &SavedImage, manifest: &str, size: usize) -> Vec<Value> {
    let plain = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": manifest,
        "size": size,
        "platform": {"architecture": image.record.architecture, "os": image.record.os},
    });
    if image.names.is_empty() {
        return vec![plain];
    }
    image
        .names
        .iter()
        .map(|name| {
            let mut descriptor = plain.clone();
            descriptor["annotations"] = json!({
                "io.containerd.image.name": name.canonical,
                "org.opencontainers.image.ref.name": name.tag,
            });
            descriptor
        })
        .collect()
}

fn path_of(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

fn media_type(first: &[u8]) -> &'static str {
    match first {
        [0x1f, 0x8b, ..] => "application/vnd.oci.image.layer.v1.tar+gzip",
        [0x28, 0xb5, 0x2f, 0xfd] => "application/vnd.oci.image.layer.v1.tar+zstd",
        _ => "application/vnd.oci.image.layer.v1.tar",
    }
}
