//! Signatures as cosign keeps them: a manifest whose layers are what was signed, each with its
//! signature as an annotation.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use engine::Error;
use rustls::crypto::ring;
use serde::Deserialize;
use webpki::RawPublicKeyEntity;

use super::policy::Key;
use crate::documents::{self, is_digest};
use crate::repository::{Inner, document, small_blob};

const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
const PAYLOAD_TYPE: &str = "cosign container image signature";
/// Signatures of one image that are looked at.
const MOST: usize = 32;
/// Honest ones have some hundred bytes.
const LARGEST_PAYLOAD: usize = 64 << 10;

/// A signature, not yet verified.
#[derive(Debug)]
pub(super) struct Signature {
    /// The digest that it was found for.
    pub(super) digest: String,
    pub(super) payload: Bytes,
    pub(super) signature: Vec<u8>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Manifest {
    layers: Vec<Layer>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    #[serde(rename = "type")]
    kind: String,
    image: Image,
    identity: Identity,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    #[serde(rename = "docker-reference")]
    reference: String,
}

/// All signatures for these digests that the registry has.
pub(super) async fn find(repository: &Inner, digests: &[String]) -> engine::Result<Vec<Signature>> {
    let mut found = Vec::new();
    for digest in digests {
        let tag = format!("{}.sig", digest.replace(':', "-"));
        let path = repository.path(&format!("manifests/{tag}"));
        let manifest = repository
            .first(|endpoint| {
                let (path, tag) = (path.clone(), tag.clone());
                Box::pin(async move {
                    match document(&endpoint, &path, &tag).await {
                        Ok((_, bytes)) => Ok(Some(bytes)),
                        // A mirror may not have what the registry itself has.
                        Err(failure) if failure.is_missing() && !endpoint.mirror => Ok(None),
                        Err(failure) => Err(failure),
                    }
                })
            })
            .await
            .map_err(|error| {
                let text = error.with_causes();
                let text = format!("the image's signatures cannot be fetched: {text}");
                Error::new(error.kind(), text)
            })?;
        let Some(manifest) = manifest else { continue };
        let manifest: Manifest = documents::parse(&manifest)
            .map_err(|error| Error::invalid(format!("{tag} is no list of signatures: {error}")))?;
        for layer in manifest.layers.iter().take(MOST) {
            found.extend(fetch(repository, digest, layer).await?);
        }
    }
    Ok(found)
}

/// One signature, if the layer is one.
async fn fetch(
    repository: &Inner,
    digest: &str,
    layer: &Layer,
) -> engine::Result<Option<Signature>> {
    let annotation = layer.annotations.as_ref().and_then(|all| all.get(ANNOTATION));
    let signature = annotation.and_then(|text| STANDARD.decode(text).ok());
    let Some(signature) = signature.filter(|_| layer.media_type == PAYLOAD) else {
        return Ok(None);
    };
    if !is_digest(&layer.digest) {
        return Ok(None);
    }
    let path = repository.path(&format!("blobs/{}", layer.digest));
    let payload = repository
        .first(|endpoint| {
            let (path, digest) = (path.clone(), layer.digest.clone());
            Box::pin(async move { small_blob(&endpoint, &path, &digest).await })
        })
        .await?;
    let found = Signature { digest: digest.to_owned(), payload, signature };
    Ok(Some(found).filter(|found| found.payload.len() <= LARGEST_PAYLOAD))
}

impl Signature {
    /// The name that is signed, if one of the keys has signed it together with the digest.
    pub(super) fn verified(&self, keys: &[Key]) -> Result<String, String> {
        if !keys.iter().any(|key| self.is_by(key)) {
            return Err("none of its signatures is by a key of the policy".to_owned());
        }
        // Nothing of it is believed before.
        let payload: Payload = documents::parse(&self.payload)
            .map_err(|error| format!("the signature signs something unknown: {error}"))?;
        let Critical { kind, image, identity } = payload.critical;
        if kind != PAYLOAD_TYPE {
            return Err(format!("the signature is of the type {kind:?}, which is not known"));
        }
        if image.digest != self.digest {
            return Err(format!("the signature is for {}, not {}", image.digest, self.digest));
        }
        Ok(identity.reference)
    }

    fn is_by(&self, key: &Key) -> bool {
        let Ok(key) = RawPublicKeyEntity::try_from(key) else { return false };
        let algorithms = ring::default_provider().signature_verification_algorithms.all;
        algorithms
            .iter()
            .any(|one| key.verify_signature(*one, &self.payload, &self.signature).is_ok())
    }
}
