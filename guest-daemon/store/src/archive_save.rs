//! Writing images out: an archive that is a docker-archive and an OCI layout at once, with the
//! layers' tars. Layers that are kept as they were received go out so.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

use serde_json::{Map, Value, json};

use crate::Store;
use crate::digests::digest_of;
use crate::error::{Result, StoreError};
use crate::objects::{ImageRecord, LayerRecord};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image to save, with the names it is saved under.
#[derive(Clone, Debug)]
pub struct SavedImage {
    pub record: ImageRecord,
    pub names: Vec<SavedName>,
    /// The configuration as it was received.
    pub document: Vec<u8>,
}

/// A name in its three forms.
#[derive(Clone, Debug, PartialEq, Eq)]
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
            let (manifest, layers) = self.save_image(image, &mut archive)?;
            let names: Vec<&str> = image.names.iter().map(|name| name.familiar.as_str()).collect();
            let paths: Vec<String> = layers.iter().map(|layer| path_of(&layer.digest)).collect();
            let sources: Map<String, Value> = image
                .record
                .layers
                .iter()
                .zip(&layers)
                .map(|(diff_id, layer)| (diff_id.clone(), layer.descriptor()))
                .collect();
            docker.push(json!({
                "Config": path_of(&image.record.id),
                "RepoTags": if names.is_empty() { Value::Null } else { json!(names) },
                "Layers": paths,
                "LayerSources": sources,
            }));
            index.extend(descriptors(image, &manifest));
            for name in &image.names {
                if let (Some(top), Some((repository, tag))) =
                    (layers.last(), name.familiar.rsplit_once(':'))
                {
                    repositories
                        .entry(repository.to_owned())
                        .or_default()
                        .insert(tag.to_owned(), top.digest.replace("sha256:", ""));
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

    /// Writes an image's blobs; returns its manifest and its layers.
    fn save_image<W: Write>(
        &self,
        image: &SavedImage,
        archive: &mut Archive<W>,
    ) -> Result<(Blob, Vec<Blob>)> {
        let failed = || StoreError::io("write the archive");
        let config = &image.document;
        archive
            .file(&path_of(&image.record.id), config.len() as u64, config.as_slice())
            .map_err(failed())?;
        let mut layers = Vec::new();
        for diff_id in &image.record.layers {
            let layer = self
                .layer(diff_id)?
                .ok_or_else(|| StoreError::Missing(format!("layer {diff_id}")))?;
            layers.push(self.save_layer(&layer, archive)?);
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": image.record.id,
                "size": config.len(),
            },
            "layers": layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
        });
        let manifest = serde_json::to_vec(&manifest).map_err(StoreError::Encode)?;
        let digest = digest_of(&manifest);
        let size = manifest.len() as u64;
        archive.file(&path_of(&digest), size, manifest.as_slice()).map_err(failed())?;
        Ok((Blob { media_type: MANIFEST, digest, size }, layers))
    }

    fn save_layer<W: Write>(&self, layer: &LayerRecord, archive: &mut Archive<W>) -> Result<Blob> {
        let failed = || StoreError::io("write the archive");
        if let Some(size) = layer.tar_size {
            let digest = layer.diff_id.clone();
            if archive.lacks(&path_of(&digest)) {
                let tar = self.open_tar(layer)?;
                archive.file(&path_of(&digest), size, tar).map_err(failed())?;
            }
            return Ok(Blob { media_type: TAR, digest, size });
        }
        let mut first = [0; 4];
        let read = self.open_blob(&layer.blob)?.read(&mut first);
        let length = read.map_err(StoreError::io("read a layer"))?;
        let (digest, size) = (layer.blob.clone(), layer.blob_size);
        archive.file(&path_of(&digest), size, self.open_blob(&digest)?).map_err(failed())?;
        Ok(Blob { media_type: media_type(&first[..length]), digest, size })
    }
}

/// A file of the archive, as others speak of it.
struct Blob {
    media_type: &'static str,
    digest: String,
    size: u64,
}

impl Blob {
    fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.size})
    }
}

impl<W: Write> Archive<W> {
    fn folder(&mut self, name: &str) -> io::Result<()> {
        let mut header = header(0, 0o755);
        header.set_entry_type(tar::EntryType::Directory);
        self.tar.append_data(&mut header, name, io::empty())
    }

    fn lacks(&self, name: &str) -> bool {
        !self.written.contains(name)
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

fn descriptors(image: &SavedImage, manifest: &Blob) -> Vec<Value> {
    let plain = manifest.descriptor();
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
        _ => TAR,
    }
}
