//! Manifests and indexes, as Docker and the OCI image specification write them. A document that
//! could be read in two ways is refused.

use engine::ports::{Content, Descriptor, IndexEntry, Platform};
use engine::{Error, Result};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::documents::{self, is_digest};

pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const OLD: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// For the header `Accept`. The old ones are asked for so that they can be refused by name.
pub(crate) fn accepted() -> String {
    [DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX, OLD[1], OLD[0]].join(", ")
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    media_type: String,
    config: Option<Described>,
    layers: Option<Vec<Described>>,
    manifests: Option<Vec<Described>>,
    fs_layers: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Described {
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Target>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Target {
    os: String,
    architecture: String,
    variant: String,
    #[serde(rename = "os.version")]
    os_version: String,
    #[serde(rename = "os.features")]
    os_features: Vec<String>,
}

/// Reads a document. `content_type` is what the registry calls it; `name` is for complaints.
/// Returns its media type and its content.
pub(crate) fn parse(content_type: &str, bytes: &[u8], name: &str) -> Result<(String, Content)> {
    let document: Document = documents::parse(bytes)
        .map_err(|error| Error::invalid(format!("the manifest of {name} is invalid: {error}")))?;
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    if document.schema_version == 1
        || document.fs_layers.is_some()
        || OLD.contains(&content_type)
        || OLD.contains(&document.media_type.as_str())
    {
        return Err(too_old(name));
    }
    let has_image = document.config.is_some() || document.layers.is_some();
    if has_image && document.manifests.is_some() {
        return Err(Error::invalid(format!(
            "the manifest of {name} is ambiguous: it has layers and manifests"
        )));
    }
    let media_type = media_type(&document, content_type, has_image);
    let content = match (document.config, document.manifests) {
        (_, Some(entries)) if matches!(&*media_type, DOCKER_LIST | OCI_INDEX) => {
            Content::Index(entries.into_iter().map(entry).collect::<Result<_>>()?)
        }
        (Some(config), None) if matches!(&*media_type, DOCKER_MANIFEST | OCI_MANIFEST) => {
            check_config(&media_type, &config.media_type)?;
            let layers = document.layers.unwrap_or_default();
            Content::Image {
                config: descriptor(config)?,
                layers: layers.into_iter().map(layer).collect::<Result<_>>()?,
            }
        }
        _ => {
            return Err(Error::invalid(format!(
                "unsupported manifest format: {media_type:?} for {name}"
            )));
        }
    };
    Ok((media_type, content))
}

/// The document's own word, else the registry's, else what it looks like.
fn media_type(document: &Document, content_type: &str, has_image: bool) -> String {
    let known = [DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX];
    if !document.media_type.is_empty() {
        return document.media_type.clone();
    }
    if known.contains(&content_type) {
        return content_type.to_owned();
    }
    if has_image { OCI_MANIFEST.to_owned() } else { OCI_INDEX.to_owned() }
}

fn too_old(name: &str) -> Error {
    Error::invalid(format!(
        "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been \
         removed. Suggest the author of {name} to upgrade the image to the OCI Format or Docker \
         Image manifest v2, schema 2. More information at \
         https://docs.docker.com/go/deprecated-image-specs/"
    ))
}

fn check_config(manifest: &str, config: &str) -> Result<()> {
    let usual = [
        DOCKER_CONFIG,
        OCI_CONFIG,
        "application/octet-stream",
        "application/json",
        "text/html",
        "",
    ];
    if manifest == DOCKER_MANIFEST && !usual.contains(&config) {
        let class =
            if config == "application/vnd.docker.plugin.v1+json" { "plugin" } else { "unknown" };
        let text = format!("Encountered remote {config:?}({class}) when fetching");
        return Err(Error::invalid(text));
    }
    check_supported(config)
}

/// What is not an image, such as a chart or a signature, is told from one by its types.
fn check_supported(media_type: &str) -> Result<()> {
    let lower = media_type.to_ascii_lowercase();
    if lower.starts_with("application/vnd.docker.ai.") {
        return Err(Error::invalid(
            "AI models are not yet supported by the Engine, please use \"docker model pull/run\" \
             instead",
        ));
    }
    let families = ["application/vnd.oci.image", "application/vnd.docker"];
    let exact = ["application/octet-stream", "application/json", "text/html", ""];
    let in_family = families.iter().any(|family| {
        lower.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    if in_family || exact.contains(&lower.as_str()) {
        Ok(())
    } else {
        Err(Error::invalid(format!("unsupported media type {media_type}")))
    }
}

fn layer(described: Described) -> Result<Descriptor> {
    check_supported(&described.media_type)?;
    descriptor(described)
}

fn entry(mut described: Described) -> Result<IndexEntry> {
    let platform = described.platform.take().map(|target| Platform {
        os: target.os,
        architecture: target.architecture,
        variant: target.variant,
        os_version: target.os_version,
        os_features: target.os_features,
    });
    Ok(IndexEntry { descriptor: descriptor(described)?, platform })
}

fn descriptor(described: Described) -> Result<Descriptor> {
    let Described { media_type, digest, size, .. } = described;
    if !is_digest(&digest) {
        return Err(Error::invalid(format!(
            "{digest:?} is no digest that is supported (sha256:…)"
        )));
    }
    // Clients have no larger numbers.
    if i64::try_from(size).is_err() {
        return Err(Error::invalid(format!("{digest} has no size that can be: {size}")));
    }
    Ok(Descriptor { media_type, digest, size })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    schema_version: u32,
    media_type: &'a str,
    config: WrittenDescriptor<'a>,
    layers: Vec<WrittenDescriptor<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenDescriptor<'a> {
    media_type: &'a str,
    size: u64,
    digest: &'a str,
}

/// Writes a manifest byte by byte as dockerd does, so that the same image has the same digest
/// wherever it is pushed from. One with layers in zstd has to be in OCI's words.
pub(crate) fn write(config: &Descriptor, layers: &[Descriptor]) -> Result<(&'static str, Vec<u8>)> {
    let oci = layers.iter().any(|layer| layer.media_type == OCI_ZSTD);
    let (manifest, config_type, layer_type) = if oci {
        (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER)
    } else {
        (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER)
    };
    let kind =
        |layer: &Descriptor| if layer.media_type == OCI_ZSTD { OCI_ZSTD } else { layer_type };
    let document = Written {
        schema_version: 2,
        media_type: manifest,
        config: WrittenDescriptor {
            media_type: config_type,
            size: config.size,
            digest: &config.digest,
        },
        layers: layers
            .iter()
            .map(|layer| WrittenDescriptor {
                media_type: kind(layer),
                size: layer.size,
                digest: &layer.digest,
            })
            .collect(),
    };
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"   ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    document
        .serialize(&mut serializer)
        .map_err(|error| Error::internal("cannot write the manifest", error))?;
    Ok((manifest, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn complaint(content_type: &str, document: &str) -> String {
        let document = document.replace("DIGEST", DIGEST);
        parse(content_type, document.as_bytes(), "x:1").unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read_and_has_dockerds_form() {
        let config = Descriptor { digest: DIGEST.to_owned(), size: 7, ..Descriptor::default() };
        let layer = Descriptor { size: 9, ..config.clone() };
        let (kind, bytes) = write(&config, &[layer]).unwrap();
        assert_eq!(kind, DOCKER_MANIFEST);
        let text = String::from_utf8(bytes.clone()).unwrap();
        let beginning = "{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"application/vnd.docker";
        assert!(text.starts_with(beginning), "{text}");
        let (media_type, content) = parse("application/json", &bytes, "x").unwrap();
        assert_eq!(media_type, DOCKER_MANIFEST);
        let Content::Image { config, layers } = content else { panic!("{content:?}") };
        assert_eq!((config.size, layers[0].size), (7, 9));
        assert_eq!(layers[0].media_type, DOCKER_LAYER);
    }

    #[test]
    fn a_document_without_a_type_is_what_it_looks_like() {
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"digest":"{DIGEST}","size":1,
               "platform":{{"os":"linux","architecture":"arm64","variant":"v8"}}}}]}}"#
        );
        let (media_type, content) = parse("text/plain", index.as_bytes(), "x").unwrap();
        assert_eq!(media_type, OCI_INDEX);
        let Content::Index(entries) = content else { panic!("{content:?}") };
        assert_eq!(entries[0].platform.as_ref().unwrap().variant, "v8");
    }

    #[test]
    fn a_document_with_two_meanings_is_refused() {
        for document in [
            r#"{"schemaVersion":2,"config":{"digest":"DIGEST"},"layers":[],"manifests":[]}"#,
            r#"{"schemaVersion":2,"layers":[],"manifests":[]}"#,
        ] {
            assert!(complaint(OCI_INDEX, document).contains("ambiguous"), "{document}");
        }
        let lying = format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","config":{{"digest":"DIGEST"}}}}"#
        );
        assert!(complaint(OCI_MANIFEST, &lying).contains("unsupported manifest format"));
    }

    #[test]
    fn what_is_too_old_or_no_image_is_refused_by_name() {
        let old = r#"{"schemaVersion":1,"name":"x","fsLayers":[],"history":[]}"#;
        assert!(complaint("", old).contains("schema 1 support has been removed"));
        let chart = r#"{"schemaVersion":2,"config":{"digest":"DIGEST",
            "mediaType":"application/vnd.cncf.helm.config.v1+json"},"layers":[]}"#;
        assert_eq!(
            complaint(OCI_MANIFEST, chart),
            "unsupported media type application/vnd.cncf.helm.config.v1+json"
        );
        let plugin = r#"{"schemaVersion":2,"config":{"digest":"DIGEST",
            "mediaType":"application/vnd.docker.plugin.v1+json"},"layers":[]}"#;
        assert_eq!(
            complaint(DOCKER_MANIFEST, plugin),
            "Encountered remote \"application/vnd.docker.plugin.v1+json\"(plugin) when fetching"
        );
    }

    #[test]
    fn digests_that_could_be_paths_are_refused() {
        for digest in ["", "sha256:", "sha256:../../etc/passwd", "md5:00", "sha512:00"] {
            let document =
                format!(r#"{{"schemaVersion":2,"config":{{"digest":"{digest}"}},"layers":[]}}"#);
            assert!(complaint(OCI_MANIFEST, &document).contains("is no digest"), "{digest}");
        }
        assert!(complaint(OCI_MANIFEST, "[").contains("is invalid"));
        assert!(complaint(OCI_MANIFEST, r#"{"schemaVersion":2}"#).contains("unsupported"));
        let negative = r#"{"schemaVersion":2,"config":{"digest":"DIGEST","size":-1},"layers":[]}"#;
        assert!(complaint(OCI_MANIFEST, negative).contains("is invalid"));
    }

    #[test]
    fn documents_that_would_fill_the_memory_are_refused() {
        let many = format!(r#"{{"manifests":[{}{{}}]}}"#, "{},".repeat(200_000));
        assert!(complaint(OCI_INDEX, &many).contains("too many parts"));
        let large = r#"{"config":{"digest":"DIGEST"},"layers":[{"digest":"DIGEST",
            "size":9223372036854775808}]}"#;
        assert!(complaint(OCI_MANIFEST, large).contains("has no size"));
    }

    #[test]
    fn damaged_documents_are_read_or_refused() {
        let descriptor = Descriptor { digest: DIGEST.to_owned(), size: 7, ..Descriptor::default() };
        let (_, image) = write(&descriptor, std::slice::from_ref(&descriptor)).unwrap();
        let index = format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"digest":"{DIGEST}",
               "size":1,"platform":{{"os":"linux","architecture":"arm64","variant":"v8"}}}}]}}"#
        );
        fuzz::rounds(&[image, index.into_bytes()], |bytes| {
            if let Ok((_, Content::Image { config, layers })) = parse(OCI_MANIFEST, bytes, "x") {
                let all = layers.iter().chain([&config]);
                assert!(all.into_iter().all(|part| is_digest(&part.digest)));
            }
        });
    }
}
