//! What an archive says is in it: Docker's list of images, or an OCI layout. A document that could
//! be read in two ways is refused.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::archive_spool::{Spooled, clean_name};
use crate::error::{Result, StoreError};
use crate::objects::ImageRecord;
use crate::{digests, documents, image_config};

/// Indexes may be nested, but not for ever.
const DEEPEST: usize = 3;
/// Bytes of all configurations of an archive: what is read stays in memory.
const ALL_CONFIGURATIONS: usize = 16 << 20;
const NO_MANIFEST: &str = "invalid archive: does not contain a manifest.json";

/// An image of an archive, understood but not yet taken in.
#[derive(Clone, Debug)]
pub struct ArchivedImage {
    pub record: ImageRecord,
    /// As the archive has them.
    pub names: Vec<String>,
    pub(crate) config: String,
    pub(crate) layers: Vec<String>,
}

/// What an index says an image is for; all empty when it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ArchivePlatform {
    pub os: String,
    pub architecture: String,
    pub variant: String,
}

/// Which images of an archive are wanted.
pub trait Choice {
    /// Which of the images of one index, if any.
    fn among(&self, platforms: &[ArchivePlatform]) -> Option<usize>;

    /// Whether an image is wanted that was found.
    fn wants(&self, image: &ImageRecord) -> bool;
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest {
    config: String,
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// An index, or the manifest of an image.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Manifest {
    media_type: String,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Descriptor {
    digest: String,
    size: Option<u64>,
    annotations: Option<BTreeMap<String, String>>,
    platform: Option<ArchivePlatform>,
}

/// Where an image's parts are.
struct Described {
    config: String,
    layers: Vec<String>,
    names: Vec<String>,
}

impl Spooled {
    /// The images that are wanted. An archive may have both lists; the second one has images of
    /// more platforms.
    pub fn images(&self, choice: &dyn Choice) -> Result<Vec<ArchivedImage>> {
        let has_layout = self.has("index.json");
        if !self.has("manifest.json") && !has_layout {
            return Err(StoreError::Invalid(NO_MANIFEST.into()));
        }
        if self.has("manifest.json") {
            let images = self.wanted(self.docker_images()?, choice)?;
            if !images.is_empty() || !has_layout {
                return Ok(images);
            }
        }
        let index = self.unambiguous("index.json")?;
        let mut described = Vec::new();
        for group in groups(index.manifests.unwrap_or_default()) {
            for descriptor in chosen(group, choice) {
                described.extend(self.oci_image(&descriptor, choice, 0)?);
            }
        }
        self.wanted(described, choice)
    }

    fn docker_images(&self) -> Result<Vec<Described>> {
        let manifests: Option<Vec<DockerManifest>> = self.document("manifest.json")?;
        let null = "invalid manifest, manifest cannot be null (but can be [])";
        let manifests = manifests.ok_or_else(|| StoreError::Invalid(null.into()))?;
        manifests.into_iter().map(describe_docker).collect()
    }

    /// Reads the configurations.
    fn wanted(&self, described: Vec<Described>, choice: &dyn Choice) -> Result<Vec<ArchivedImage>> {
        let (mut images, mut bytes) = (Vec::new(), 0);
        for Described { config, layers, names } in described {
            let document = self.read(&config)?;
            bytes += document.len();
            if bytes > ALL_CONFIGURATIONS {
                return Err(StoreError::Invalid(
                    "the archive's configurations are too large".into(),
                ));
            }
            let record = image_config::read_image(&document)?;
            if !choice.wants(&record) {
                continue;
            }
            if record.os != "linux" {
                let text = format!("cannot load {} image on linux", record.os);
                return Err(StoreError::Invalid(text));
            }
            if record.layers.len() != layers.len() {
                return Err(StoreError::Invalid(format!(
                    "invalid manifest, layers length mismatch: expected {}, got {}",
                    layers.len(),
                    record.layers.len()
                )));
            }
            images.push(ArchivedImage { record, names, config, layers });
        }
        Ok(images)
    }

    fn document<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<T> {
        documents::parse(name, &self.read(name)?)
    }

    /// An index or a manifest, and not a bit of both.
    fn unambiguous(&self, name: &str) -> Result<Manifest> {
        let document: Manifest = self.document(name)?;
        let is_image = document.config.is_some() || document.layers.is_some();
        let is_index = document.manifests.is_some();
        let said = document.media_type.as_str();
        let said_index = said.contains(".image.index.") || said.contains(".manifest.list.");
        let said_image = !said.is_empty() && !said_index;
        if is_image && (is_index || said_index) || is_index && said_image {
            return Err(StoreError::Invalid(format!(
                "{name} is ambiguous: it could be an image or an index"
            )));
        }
        Ok(document)
    }

    fn oci_image(
        &self,
        descriptor: &Descriptor,
        choice: &dyn Choice,
        depth: usize,
    ) -> Result<Option<Described>> {
        if is_attestation(descriptor) || depth > DEEPEST {
            return Ok(None);
        }
        let manifest = self.unambiguous(&self.blob_name(descriptor)?)?;
        if let Some(nested) = manifest.manifests {
            let mut found = None;
            if let Some(one) = chosen(nested, choice).first() {
                found = self.oci_image(one, choice, depth + 1)?;
            }
            return Ok(found.map(|mut image| {
                image.names.extend(names_of(descriptor));
                image
            }));
        }
        let mut layers = Vec::new();
        for layer in manifest.layers.unwrap_or_default() {
            layers.push(self.blob_name(&layer)?);
        }
        let config = self.blob_name(&manifest.config.unwrap_or_default())?;
        Ok(Some(Described { config, layers, names: names_of(descriptor) }))
    }

    /// The file that is meant; its content must be what was said.
    fn blob_name(&self, descriptor: &Descriptor) -> Result<String> {
        let Descriptor { digest, size, .. } = descriptor;
        if !digests::is_digest(digest) {
            return Err(StoreError::Invalid(format!(
                "{digest:?} is no digest that is supported (sha256:…)"
            )));
        }
        let name = format!("blobs/{}", digest.replace(':', "/"));
        let file = self.file(&name)?;
        let found = file.digest_like(digest)?;
        if found != *digest {
            let expected = digest.clone();
            return Err(StoreError::WrongDigest { what: name, expected, found });
        }
        match size {
            Some(size) if *size != file.size => Err(StoreError::Invalid(format!(
                "{name} has {} bytes, not the {size} that were said",
                file.size
            ))),
            _ => Ok(name),
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

/// Images of one name, which are the same one for several platforms.
fn groups(descriptors: Vec<Descriptor>) -> Vec<Vec<Descriptor>> {
    let mut groups: Vec<(Vec<String>, Vec<Descriptor>)> = Vec::new();
    for descriptor in descriptors {
        let names = names_of(&descriptor);
        match groups.iter_mut().find(|(known, _)| *known == names) {
            Some((_, group)) => group.push(descriptor),
            None => groups.push((names, vec![descriptor])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Those of the best platform. Several are different images without a name.
fn chosen(mut group: Vec<Descriptor>, choice: &dyn Choice) -> Vec<Descriptor> {
    group.retain(|descriptor| !is_attestation(descriptor));
    let of = |descriptor: &Descriptor| descriptor.platform.clone().unwrap_or_default();
    let platforms: Vec<ArchivePlatform> = group.iter().map(of).collect();
    match choice.among(&platforms) {
        Some(best) => {
            let best = platforms.get(best).cloned().unwrap_or_default();
            group.retain(|descriptor| of(descriptor) == best);
            group
        }
        None => Vec::new(),
    }
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
