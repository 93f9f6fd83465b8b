//! Receiving images: a tar stream is first written to temporary files, as its index may come
//! last; then each image's layers are unpacked. Names are left to the engine.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Store;
use crate::compression;
use crate::container_archive;
use crate::database::{Change, Table};
use crate::error::{Result, StoreError};
use crate::image_config::{self, DOCUMENT_LIMIT};
use crate::objects::{ImageRecord, LayerRecord, ReferenceRecord};
use crate::tar_entry::{Kind, Meta};
use crate::{beneath, blobs, layout, tar_read};

/// An archive on the disk, not yet understood. Its files are removed with the value.
#[derive(Debug, Default)]
pub struct Spooled {
    files: BTreeMap<String, File>,
    /// Old archives link equal layers.
    links: BTreeMap<String, String>,
}

#[derive(Debug)]
struct File {
    place: PathBuf,
    digest: String,
    size: u64,
}

/// An image of an archive, in the store but not yet committed.
#[derive(Clone, Debug)]
pub struct LoadedImage {
    pub record: ImageRecord,
    /// As the archive has them.
    pub names: Vec<String>,
}

/// How far loading is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveProgress {
    /// A layer that was not there before.
    Layer { diff_id: String, current: u64, total: u64 },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest {
    config: String,
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Index {
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Manifest {
    config: Descriptor,
    layers: Option<Vec<Descriptor>>,
    /// Set when it is an index after all.
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Descriptor {
    digest: String,
    annotations: Option<BTreeMap<String, String>>,
    platform: Option<Platform>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Platform {
    architecture: String,
}

/// An image as the archive describes it: where its parts are.
struct Described {
    config: String,
    layers: Vec<String>,
    names: Vec<String>,
}

impl Store {
    /// Writes an archive's files to the disk. The stream may be compressed.
    pub fn spool_archive(&self, reader: impl Read + Send) -> Result<Spooled> {
        let receive = || StoreError::io("read the archive");
        let (_, reader) = compression::decompress(reader).map_err(receive())?;
        let (mut spooled, mut failure) = (Spooled::default(), None);
        let read = tar_read::each(reader, |entry, meta| {
            self.receive(&mut spooled, entry, meta).map_err(|error| {
                failure = Some(error);
                io::ErrorKind::Other.into()
            })
        });
        match failure {
            Some(error) => Err(error),
            None => read.map(|()| spooled).map_err(receive()),
        }
    }

    fn receive(&self, spooled: &mut Spooled, mut entry: impl Read, meta: &Meta) -> Result<()> {
        let Some(name) = clean_name(&meta.path) else {
            return Err(StoreError::Invalid("the archive has a path outside of it".into()));
        };
        match meta.kind {
            Kind::File => {
                let (place, digest, size) = self.spool(&mut entry)?;
                spooled.files.insert(name, File { place, digest, size });
            }
            Kind::Symlink => {
                let above = Path::new(&name).parent().unwrap_or(Path::new(""));
                let link = Path::new(std::str::from_utf8(&meta.link).unwrap_or_default());
                let target = above.join(link);
                if let Some(target) = clean_name(target.as_os_str().as_encoded_bytes()) {
                    spooled.links.insert(name, target);
                }
            }
            Kind::HardLink => {
                if let Some(target) = clean_name(&meta.link) {
                    spooled.links.insert(name, target);
                }
            }
            Kind::Folder | Kind::CharDevice | Kind::BlockDevice | Kind::Fifo | Kind::Skip => {}
        }
        Ok(())
    }

    /// Writes one stream to the disk, for [`Self::import_layer`].
    pub fn spool_layer(&self, mut reader: impl Read) -> Result<Spooled> {
        let (place, digest, size) = self.spool(&mut reader)?;
        let file = File { place, digest, size };
        Ok(Spooled { files: BTreeMap::from([(String::new(), file)]), links: BTreeMap::new() })
    }

    /// Writes what a container changed as a layer's stream, for [`Self::import_layer`].
    pub fn spool_container(&self, id: &str) -> Result<Spooled> {
        let upper = self.layout().container_file(id, "upper");
        let (place, digest, size) = self.spool_with("write a layer", |writer| {
            container_archive::write_layer(&upper, io::BufWriter::with_capacity(64 * 1024, writer))
        })?;
        let file = File { place, digest, size };
        Ok(Spooled { files: BTreeMap::from([(String::new(), file)]), links: BTreeMap::new() })
    }

    /// Unpacks what [`Self::spool_layer`] received.
    pub fn import_layer(&self, spooled: &Spooled) -> Result<LayerRecord> {
        let file = spooled.file("")?;
        self.add_layer(&file.place, &file.digest, None)
    }

    /// Unpacks the layers of every image in the archive. Nothing refers to them until
    /// [`Self::commit_images`].
    pub fn load_archive(
        &self,
        spooled: &Spooled,
        architecture: &str,
        mut progress: impl FnMut(ArchiveProgress),
    ) -> Result<Vec<LoadedImage>> {
        let mut loaded = Vec::new();
        for image in spooled.describe(architecture)? {
            loaded.push(self.load_image(spooled, image, &mut progress)?);
        }
        Ok(loaded)
    }

    fn load_image(
        &self,
        spooled: &Spooled,
        image: Described,
        progress: &mut impl FnMut(ArchiveProgress),
    ) -> Result<LoadedImage> {
        let config = spooled.read(&image.config)?;
        let id = self.put_blob(&config)?;
        let record = image_config::parse(&id, &config)?;
        if record.layers.len() != image.layers.len() {
            return Err(StoreError::Invalid(format!(
                "invalid manifest, layers length mismatch: expected {}, got {}",
                image.layers.len(),
                record.layers.len()
            )));
        }
        for (diff_id, name) in record.layers.iter().zip(&image.layers) {
            if self.layer(diff_id)?.is_some() {
                continue;
            }
            let file = spooled.file(name)?;
            let step = |current| ArchiveProgress::Layer {
                diff_id: diff_id.clone(),
                current,
                total: file.size,
            };
            progress(step(0));
            self.add_layer(&file.place, &file.digest, Some(diff_id))?;
            progress(step(file.size));
        }
        Ok(LoadedImage { record, names: image.names })
    }

    /// Makes images and names visible, and takes names away, in one step.
    pub fn commit_images(
        &self,
        images: &[ImageRecord],
        named: &[(String, ReferenceRecord)],
        unnamed: &[String],
    ) -> Result<()> {
        let mut changes = Vec::new();
        for image in images {
            changes.push(Change::put(Table::Images, &image.id, image)?);
        }
        for name in unnamed {
            changes.push(Change::remove(Table::References, name));
        }
        for (name, reference) in named {
            changes.push(Change::put(Table::References, name, reference)?);
        }
        self.metadata().apply(&changes)
    }

    /// Removes an image, its names, and the layers that only it stands on.
    pub fn remove_image(&self, id: &str, names: &[String], layers: &[String]) -> Result<()> {
        let mut changes = vec![Change::remove(Table::Images, id)];
        changes.extend(names.iter().map(|name| Change::remove(Table::References, name)));
        self.metadata().apply(&changes)?;
        self.remove_layers(layers)?;
        self.discard(&self.layout().blob(id))
    }
}

impl Spooled {
    /// Whether it is the layer's stream that has nothing in it.
    pub fn is_empty_layer(&self) -> bool {
        self.file("").is_ok_and(|file| file.digest == blobs::digest_of(&[0; 1024]))
    }

    fn file(&self, name: &str) -> Result<&File> {
        let mut name = name;
        // A link may lead to a link, but not for ever.
        for _ in 0..8 {
            if let Some(file) = self.files.get(name) {
                return Ok(file);
            }
            match self.links.get(name) {
                Some(target) => name = target,
                None => break,
            }
        }
        Err(StoreError::Invalid(format!("the archive has no file {name}")))
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let file = self.file(name)?;
        if file.size > DOCUMENT_LIMIT {
            return Err(StoreError::Invalid(format!("{name} is too large")));
        }
        std::fs::read(&file.place).map_err(StoreError::io(format!("read {name}")))
    }

    fn document<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<T> {
        serde_json::from_slice(&self.read(name)?)
            .map_err(|error| StoreError::Invalid(format!("invalid {name}: {error}")))
    }

    fn describe(&self, architecture: &str) -> Result<Vec<Described>> {
        if self.file("manifest.json").is_ok() {
            let manifests: Vec<DockerManifest> = self.document("manifest.json")?;
            return manifests.into_iter().map(describe_docker).collect();
        }
        if self.file("index.json").is_err() {
            return Err(StoreError::Invalid(
                "invalid archive: does not contain a manifest.json".into(),
            ));
        }
        let index: Index = self.document("index.json")?;
        let mut described = Vec::new();
        for descriptor in index.manifests.unwrap_or_default() {
            if let Some(image) = self.describe_oci(&descriptor, architecture, 0)? {
                described.push(image);
            }
        }
        Ok(described)
    }

    fn describe_oci(
        &self,
        descriptor: &Descriptor,
        architecture: &str,
        depth: usize,
    ) -> Result<Option<Described>> {
        if is_attestation(descriptor) || depth > 3 {
            return Ok(None);
        }
        let manifest: Manifest = self.document(&self.blob_name(&descriptor.digest)?)?;
        if let Some(nested) = manifest.manifests {
            let fitting = |nested: &&Descriptor| {
                nested
                    .platform
                    .as_ref()
                    .is_some_and(|platform| platform.architecture == architecture)
            };
            let chosen =
                nested.iter().find(fitting).or(nested.iter().find(|one| !is_attestation(one)));
            let Some(chosen) = chosen else { return Ok(None) };
            let image = self.describe_oci(chosen, architecture, depth + 1)?;
            return Ok(image.map(|mut image| {
                image.names.extend(names_of(descriptor));
                image
            }));
        }
        let mut layers = Vec::new();
        for layer in manifest.layers.unwrap_or_default() {
            layers.push(self.blob_name(&layer.digest)?);
        }
        let config = self.blob_name(&manifest.config.digest)?;
        Ok(Some(Described { config, layers, names: names_of(descriptor) }))
    }

    /// The file of a digest; its content must have it.
    fn blob_name(&self, digest: &str) -> Result<String> {
        if !layout::is_digest(digest) {
            return Err(StoreError::Invalid(format!("invalid digest {digest}")));
        }
        let name = format!("blobs/{}", digest.replace(':', "/"));
        let found = self.file(&name)?.digest.clone();
        if found == digest {
            Ok(name)
        } else {
            Err(StoreError::WrongDigest { what: name, expected: digest.into(), found })
        }
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        for file in self.files.values() {
            // Those that became blobs are gone already.
            drop(std::fs::remove_file(&file.place));
        }
    }
}

fn describe_docker(manifest: DockerManifest) -> Result<Described> {
    let clean = |name: &String| {
        clean_name(name.as_bytes())
            .ok_or_else(|| StoreError::Invalid(format!("invalid path {name} in manifest.json")))
    };
    Ok(Described {
        config: clean(&manifest.config)?,
        layers: manifest.layers.unwrap_or_default().iter().map(clean).collect::<Result<_>>()?,
        names: manifest.repo_tags.unwrap_or_default(),
    })
}

fn names_of(descriptor: &Descriptor) -> Vec<String> {
    let Some(annotations) = &descriptor.annotations else { return Vec::new() };
    let full = annotations.get("io.containerd.image.name");
    let short = annotations
        .get("org.opencontainers.image.ref.name")
        .filter(|name| name.contains(['/', ':']));
    full.or(short).into_iter().cloned().collect()
}

fn is_attestation(descriptor: &Descriptor) -> bool {
    let marked = descriptor
        .annotations
        .as_ref()
        .is_some_and(|annotations| annotations.contains_key("vnd.docker.reference.type"));
    marked
        || descriptor.platform.as_ref().is_some_and(|platform| platform.architecture == "unknown")
}

fn clean_name(path: &[u8]) -> Option<String> {
    beneath::clean(path)?.into_os_string().into_string().ok()
}
