//! Registries in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use engine_store::digest_of;
use engine_store::digests::Digester;
use futures::{StreamExt, TryStreamExt};

use crate::error::{Error, Kind, Result};
use crate::images::ByteStream;
use crate::images::reference::Reference;
use crate::ports::{
    Access, Content, Credentials, Descriptor, Download, Found, IndexEntry, Manifest, Outgoing,
    Platform, Registry, Repository, Waiting,
};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// All repositories of all registries, by their full names.
#[derive(Debug, Default)]
pub struct FakeRegistry {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// By name and then by tag or digest.
    manifests: BTreeMap<String, BTreeMap<String, Manifest>>,
    /// By name and then by digest.
    blobs: BTreeMap<String, BTreeMap<String, Bytes>>,
    /// What is sent instead of a blob, and whether its end ever comes.
    instead: BTreeMap<String, (Bytes, bool)>,
    asked: Vec<String>,
    /// By address: what is no image.
    files: BTreeMap<String, Vec<u8>>,
    /// Digests that the policy does not let in.
    distrusted: BTreeSet<String>,
    /// What is taken over from another repository is not found afterwards.
    loses_mounts: bool,
}

impl FakeRegistry {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Puts an image with these layers, uncompressed, under `name:tag`; returns its digest.
    pub fn add(&self, name: &str, architecture: &str, layers: &[Vec<u8>]) -> String {
        let name = parse(name);
        let mut state = self.state();
        let blobs = state.blobs.entry(name.repository()).or_default();
        let mut keep = |content: Vec<u8>| {
            let descriptor = describe(&content);
            blobs.insert(descriptor.digest.clone(), content.into());
            descriptor
        };
        let layers: Vec<Descriptor> = layers.iter().cloned().map(&mut keep).collect();
        let ids: Vec<String> = layers.iter().map(|layer| format!("{:?}", layer.digest)).collect();
        let config = format!(
            r#"{{"architecture":{architecture:?},"os":"linux","config":{{"Labels":{{"from":"far"}}}},
                "rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
            ids.join(",")
        );
        let config = keep(config.into_bytes());
        let content = Content::Image { config, layers };
        put(&mut state, &name, MANIFEST, content)
    }

    /// Puts an index of these digests of the same repository under `name:tag`.
    pub fn add_index(&self, name: &str, images: &[(&str, &str)]) -> String {
        let entry = |(architecture, digest): &(&str, &str)| IndexEntry {
            descriptor: Descriptor { digest: (*digest).to_owned(), ..Descriptor::default() },
            platform: Some(Platform {
                os: "linux".to_owned(),
                architecture: (*architecture).to_owned(),
                ..Platform::default()
            }),
        };
        let content = Content::Index(images.iter().map(entry).collect());
        put(&mut self.state(), &parse(name), INDEX, content)
    }

    /// Has the layers of `name:tag` by digests of another algorithm from now on.
    pub fn rename_layers(&self, name: &str, algorithm: &str) {
        let (name, mut state) = (parse(name), self.state());
        let repository = name.repository();
        let tag = name.tag.clone().unwrap_or_default();
        let found = state.manifests.get(&repository).and_then(|all| all.get(&tag)).cloned();
        let Some(Content::Image { config, mut layers }) = found.map(|found| found.content) else {
            panic!("{repository} has no image {tag}")
        };
        let blobs = state.blobs.entry(repository).or_default();
        for layer in &mut layers {
            let content = blobs.remove(&layer.digest).unwrap_or_default();
            let mut digester = Digester::like(&format!("{algorithm}:"));
            digester.update(&content);
            layer.digest = digester.digest();
            blobs.insert(layer.digest.clone(), content);
        }
        put(&mut state, &name, MANIFEST, Content::Image { config, layers });
    }

    /// Puts a file on the web.
    pub fn add_file(&self, address: &str, content: Vec<u8>) {
        self.state().files.insert(address.to_owned(), content);
    }

    /// Sends other bytes for a blob.
    pub fn send_instead(&self, digest: &str, content: &[u8]) {
        let content = Bytes::copy_from_slice(content);
        self.state().instead.insert(digest.to_owned(), (content, true));
    }

    /// Says that it waits, sends these bytes for a blob and then nothing, without an end.
    pub fn stall_after(&self, digest: &str, content: &[u8]) {
        let content = Bytes::copy_from_slice(content);
        self.state().instead.insert(digest.to_owned(), (content, false));
    }

    /// From now on an image of this digest is refused.
    pub fn distrust(&self, digest: &str) {
        self.state().distrusted.insert(digest.to_owned());
    }

    /// From now on says of blobs that they were taken over, and does not have them.
    pub fn lose_mounts(&self) {
        self.state().loses_mounts = true;
    }

    /// Sends all blobs as they are again.
    pub fn recover(&self) {
        self.state().instead.clear();
    }

    /// What was asked since the last time: `manifest NAME TAG`, `blob DIGEST`, `upload DIGEST`, …
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Registry for FakeRegistry {
    fn repository(
        &self,
        name: &Reference,
        credentials: &Credentials,
        _: Access,
    ) -> Result<Box<dyn Repository>> {
        let (state, name) = (Arc::clone(&self.state), name.repository());
        Ok(Box::new(FakeRepository { state, name, refused: credentials.password == "wrong" }))
    }

    async fn log_in(&self, _: &str, credentials: &Credentials) -> Result<String> {
        if credentials.password == "wrong" {
            let text = "unauthorized: incorrect username or password";
            return Err(Error::new(Kind::Unauthorized, text));
        }
        Ok(format!("token of {}", credentials.username))
    }

    async fn download(&self, address: &str) -> Result<Download> {
        let content = self.state().files.get(address).cloned();
        let content = content.ok_or_else(|| Error::not_found("failed to GET"))?;
        let length = Some(content.len() as u64);
        let parts: Vec<_> =
            content.chunks(512).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        let address = address.to_owned();
        Ok(Download { address, length, content: futures::stream::iter(parts).boxed() })
    }

    async fn search(&self, term: &str, limit: u32, _: &Credentials) -> Result<Vec<Found>> {
        let found = |stars: i64| Found {
            name: format!("{term}{stars}"),
            description: "an image".to_owned(),
            stars,
            official: stars > 1,
        };
        Ok((0..i64::from(limit.min(3))).map(found).collect())
    }
}

#[derive(Debug)]
struct FakeRepository {
    state: Arc<Mutex<State>>,
    name: String,
    refused: bool,
}

impl FakeRepository {
    fn ask(&self, what: String) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked.push(what);
        state
    }
}

#[async_trait]
impl Repository for FakeRepository {
    async fn tags(&self) -> Result<Vec<String>> {
        let state = self.ask(format!("tags {}", self.name));
        let all = state.manifests.get(&self.name).into_iter().flat_map(BTreeMap::keys);
        Ok(all.filter(|tag| !tag.contains(':')).cloned().collect())
    }

    async fn digest(&self, tag: &str) -> Result<Option<String>> {
        let state = self.ask(format!("digest {} {tag}", self.name));
        let manifest = state.manifests.get(&self.name).and_then(|all| all.get(tag));
        Ok(manifest.map(|manifest| manifest.descriptor.digest.clone()))
    }

    async fn manifest(&self, target: &str) -> Result<Manifest> {
        let state = self.ask(format!("manifest {} {target}", self.name));
        if self.refused || !state.manifests.contains_key(&self.name) {
            let text = "denied: requested access to the resource is denied";
            return Err(Error::new(Kind::Forbidden, text));
        }
        let found = state.manifests.get(&self.name).and_then(|all| all.get(target)).cloned();
        found.ok_or_else(|| Error::not_found("manifest unknown: manifest unknown"))
    }

    async fn permit(&self, _: &Reference, digests: &[String]) -> Result<()> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if digests.iter().all(|digest| state.distrusted.contains(digest)) {
            return Err(Error::new(Kind::Forbidden, "rejected by the signature policy"));
        }
        Ok(())
    }

    async fn document(&self, blob: &Descriptor) -> Result<Bytes> {
        let state = self.ask(format!("document {}", blob.digest));
        let found = state.blobs.get(&self.name).and_then(|all| all.get(&blob.digest)).cloned();
        found.ok_or_else(|| Error::not_found("blob unknown: blob unknown to registry"))
    }

    fn blob(&self, blob: &Descriptor, waiting: Waiting) -> ByteStream {
        let state = self.ask(format!("blob {}", blob.digest));
        let found = state.blobs.get(&self.name).and_then(|all| all.get(&blob.digest)).cloned();
        let usual = found.map(|content| (content, true));
        let sent = state.instead.get(&blob.digest).cloned().or(usual);
        drop(state);
        let Some((content, ends)) = sent else {
            let missing = Error::not_found("blob unknown: blob unknown to registry");
            return futures::stream::iter([Err(std::io::Error::other(missing))]).boxed();
        };
        let parts: Vec<_> =
            content.chunks(512).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        let parts = futures::stream::iter(parts);
        if ends {
            return parts.boxed();
        }
        waiting(2);
        parts.chain(futures::stream::pending()).boxed()
    }

    async fn has_blob(&self, digest: &str) -> Result<bool> {
        let state = self.ask(format!("has {digest}"));
        Ok(state.blobs.get(&self.name).is_some_and(|all| all.contains_key(digest)))
    }

    async fn mount(&self, digest: &str, from: &Reference) -> Result<bool> {
        let mut state = self.ask(format!("mount {digest} {}", from.repository()));
        let all = state.blobs.get(&from.repository());
        let Some(blob) = all.and_then(|all| all.get(digest)).cloned() else { return Ok(false) };
        if state.loses_mounts {
            return Ok(true);
        }
        state.blobs.entry(self.name.clone()).or_default().insert(digest.to_owned(), blob);
        Ok(true)
    }

    async fn upload(&self, blob: Outgoing) -> Result<()> {
        let parts: Vec<Bytes> = blob
            .content
            .try_collect()
            .await
            .map_err(|error| Error::internal("an upload was cut", error))?;
        let (content, digest) = (parts.concat(), blob.digest.await?);
        if digest_of(&content) != digest {
            return Err(Error::invalid("digest invalid"));
        }
        let mut state = self.ask(format!("upload {digest}"));
        state.blobs.entry(self.name.clone()).or_default().insert(digest, content.into());
        Ok(())
    }

    async fn tag(
        &self,
        tag: &str,
        config: &Descriptor,
        layers: &[Descriptor],
    ) -> Result<Descriptor> {
        let mut state = self.ask(format!("tag {tag}"));
        let mut name = parse(&self.name);
        name.tag = Some(tag.to_owned());
        let content = Content::Image { config: config.clone(), layers: layers.to_vec() };
        let digest = put(&mut state, &name, MANIFEST, content);
        Ok(Descriptor { media_type: MANIFEST.to_owned(), digest, size: 7 })
    }
}

fn parse(name: &str) -> Reference {
    Reference::parse(name).map(Reference::or_latest).unwrap_or_else(|error| panic!("{error}"))
}

fn describe(content: &[u8]) -> Descriptor {
    Descriptor { digest: digest_of(content), size: content.len() as u64, ..Descriptor::default() }
}

fn put(state: &mut State, name: &Reference, media_type: &str, content: Content) -> String {
    let descriptor = Descriptor {
        media_type: media_type.to_owned(),
        ..describe(format!("{content:?}").as_bytes())
    };
    let digest = descriptor.digest.clone();
    let all = state.manifests.entry(name.repository()).or_default();
    let manifest = Manifest { descriptor, content };
    all.insert(digest.clone(), manifest.clone());
    if let Some(tag) = &name.tag {
        all.insert(tag.clone(), manifest);
    }
    digest
}
