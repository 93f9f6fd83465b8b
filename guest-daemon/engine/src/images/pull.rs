//! Fetching images from registries, told in dockerd's words.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine_store::objects::ImageRecord;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, TryStreamExt};
use tokio::sync::mpsc;

use super::download::Wanted;
use super::leftovers::Leftovers;
use super::reference::Reference;
use super::refusal::told;
use super::types::Progress;
use super::whole::whole;
use super::{Images, platform};
use crate::blocking::blocking;
use crate::error::{Error, Kind, Result};
use crate::ids;
use crate::ports::{
    Access, Content, Credentials, Descriptor, IndexEntry, Manifest, Platform, Repository,
};
use crate::sending::received;

/// Lines that may wait for a slow client.
const BACKLOG: usize = 100;
/// An index may point to an index, but not for ever.
const DEEPEST_INDEX: usize = 4;
/// As many as a container's root can be made of.
const MOST_LAYERS: usize = 128;

#[derive(Clone, Debug, Default)]
pub struct PullImage {
    /// With or without a tag or digest.
    pub name: String,
    /// A tag or a digest that takes their place; with neither every tag is pulled.
    pub tag: String,
    /// `linux/arm64`; empty for this machine's.
    pub platform: String,
    pub credentials: Credentials,
}

struct Pull {
    images: Images,
    repository: Arc<dyn Repository>,
    asked: Reference,
    platform: Platform,
    /// The user named it.
    strict: bool,
    progress: mpsc::Sender<Progress>,
}

/// An image of a manifest or an index.
struct Chosen {
    /// Its manifest's digest, and those of the indexes that lead to it.
    digests: Vec<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    /// What its index says it is for.
    listed: Option<Platform>,
}

/// An image that is new here.
struct New {
    record: ImageRecord,
    document: Vec<u8>,
    /// What the registry has as its layers.
    blobs: Vec<String>,
    leftovers: Leftovers,
}

impl Images {
    /// Asks the registry first, so that its refusal is this call's; the rest is in the stream.
    /// Ends early when nobody listens to that any more.
    pub async fn pull(&self, request: PullImage) -> Result<BoxStream<'static, Progress>> {
        let asked = asked(&request.name, &request.tag)?;
        let platform = platform::parse(&request.platform, &self.inner.architecture)?;
        let repository =
            self.inner.remote.repository(&asked, &request.credentials, Access::Pull)?;
        let (progress, receiver) = mpsc::channel(BACKLOG);
        let strict = !request.platform.is_empty();
        let images = self.clone();
        let pull =
            Pull { images, repository: repository.into(), asked, platform, strict, progress };
        let mut targets = pull.targets().await?.into_iter();
        let first = match targets.next() {
            Some(target) => Some((pull.resolve(&target).await?, target)),
            None => None,
        };
        tokio::spawn(async move {
            let gone = pull.progress.clone();
            tokio::select! {
                result = pull.run(first, targets) => if let Err(error) = result {
                    drop(gone.send(Progress::Error(error.with_causes())).await);
                },
                () = gone.closed() => tracing::info!("a pull was given up"),
            }
        });
        Ok(received(receiver))
    }
}

/// What a manifest was found to be.
enum Resolved {
    /// This very image is here and has this name.
    Known {
        digest: String,
        id: String,
    },
    Manifest(Manifest),
}

impl Pull {
    /// The references to pull.
    async fn targets(&self) -> Result<Vec<Reference>> {
        if self.asked.tag.is_some() || self.asked.digest.is_some() {
            return Ok(vec![self.asked.clone()]);
        }
        let tags = self.repository.tags().await.map_err(|error| told(error, &self.asked))?;
        tags.iter().map(|tag| self.asked.clone().with_tag(tag)).collect()
    }

    async fn resolve(&self, target: &Reference) -> Result<Resolved> {
        if let Some(known) = self.known(target).await? {
            return Ok(known);
        }
        let asked = target.digest.as_ref().or(target.tag.as_ref());
        let asked = asked.map_or("latest", String::as_str);
        let manifest = self.repository.manifest(asked).await;
        Ok(Resolved::Manifest(manifest.map_err(|error| told(error, target))?))
    }

    /// A tag that is here may still mean the same, which costs less to ask than its manifest.
    async fn known(&self, target: &Reference) -> Result<Option<Resolved>> {
        let (Some(tag), None) = (&target.tag, &target.digest) else { return Ok(None) };
        let here = self.images.state().references.get(&target.canonical()).cloned();
        let Some(id) = here else { return Ok(None) };
        let digest = self.repository.digest(tag).await.map_err(|error| told(error, target))?;
        let Some(digest) = digest else { return Ok(None) };
        if !self.is_here(&id, &format!("{}@{digest}", target.repository())) {
            return Ok(None);
        }
        // Where it is not the index that was signed, the whole way is looked at.
        let permitted = self.repository.permit(target, std::slice::from_ref(&digest)).await;
        Ok(permitted.is_ok().then_some(Resolved::Known { digest, id }))
    }

    /// Whether an image has this name and is for the platform.
    fn is_here(&self, id: &str, name: &str) -> bool {
        let state = self.images.state();
        let fits =
            |image: &Arc<ImageRecord>| platform::is_same(&platform::of(image), &self.platform);
        state.references.get(name).is_some_and(|named| named == id)
            && state.images.get(id).is_some_and(fits)
    }

    async fn run(
        &self,
        first: Option<(Resolved, Reference)>,
        targets: impl Iterator<Item = Reference>,
    ) -> Result<()> {
        let mut newer = false;
        if let Some((resolved, target)) = first {
            newer |= self.one(resolved, &target).await?;
        }
        for target in targets {
            let resolved = self.resolve(&target).await?;
            newer |= self.one(resolved, &target).await?;
        }
        let status = if newer { "Downloaded newer image" } else { "Image is up to date" };
        self.say("", format!("Status: {status} for {}", self.asked.familiar())).await;
        self.warn_of_platform().await;
        self.event();
        Ok(())
    }

    /// Pulls one tag or digest; whether it is now something else than before.
    async fn one(&self, resolved: Resolved, target: &Reference) -> Result<bool> {
        let shown = match (&target.digest, &target.tag) {
            (None, Some(tag)) => tag.clone(),
            _ => target.canonical(),
        };
        self.say(&shown, format!("Pulling from {}", self.asked.path())).await;
        let (digest, id, new, listed) = match resolved {
            Resolved::Known { digest, id } => (digest, id, None, None),
            Resolved::Manifest(manifest) => {
                let digest = manifest.descriptor.digest.clone();
                let Chosen { digests, config, layers, listed } = self.choose(manifest).await?;
                self.repository.permit(target, &digests).await?;
                let (id, new) = self.fetch(&config, layers).await?;
                (digest, id, new, listed)
            }
        };
        self.say("", format!("Digest: {digest}")).await;
        let mut by_digest = target.clone();
        (by_digest.tag, by_digest.digest) = (None, Some(digest));
        let mut names = vec![(by_digest, id.clone())];
        if target.digest.is_none() {
            names.push((target.clone(), id.clone()));
        }
        let (images, repository) = (self.images.clone(), self.asked.repository());
        let kept = async move { images.commit_pulled(repository, new, names, &id, listed).await };
        whole(kept).await
    }

    /// The image of an index that is for the platform.
    async fn choose(&self, manifest: Manifest) -> Result<Chosen> {
        let digest = manifest.descriptor.digest;
        let entries = match manifest.content {
            Content::Image { config, layers } => {
                return Ok(Chosen { digests: vec![digest], config, layers, listed: None });
            }
            Content::Index(entries) => entries,
        };
        let found = self.within(&entries, vec![digest]).await?;
        found.ok_or_else(|| {
            Error::not_found(format!(
                "no matching manifest for {} in the manifest list entries",
                platform::shown(&self.platform)
            ))
        })
    }

    fn within<'a>(
        &'a self,
        entries: &'a [IndexEntry],
        above: Vec<String>,
    ) -> BoxFuture<'a, Result<Option<Chosen>>> {
        async move {
            for entry in platform::fitting(entries, &self.platform) {
                let manifest = self.repository.manifest(&entry.descriptor.digest).await?;
                let digests = [above.as_slice(), &[manifest.descriptor.digest]].concat();
                match manifest.content {
                    Content::Image { config, layers } => {
                        let listed = entry.platform.clone();
                        return Ok(Some(Chosen { digests, config, layers, listed }));
                    }
                    Content::Index(inner) if digests.len() <= DEEPEST_INDEX => {
                        if let Some(found) = self.within(&inner, digests).await? {
                            return Ok(Some(found));
                        }
                    }
                    Content::Index(_) => {}
                }
            }
            Ok(None)
        }
        .boxed()
    }

    /// Fetches what is missing of an image. Its id, and nothing more when it is here.
    async fn fetch(
        &self,
        config: &Descriptor,
        layers: Vec<Descriptor>,
    ) -> Result<(String, Option<New>)> {
        let is_here = |id: &String| self.images.state().images.contains_key(id);
        if is_here(&config.digest) {
            return Ok((config.digest.clone(), None));
        }
        let document = self.repository.document(config).await?.to_vec();
        let record = engine_store::read_image(&document)?;
        // The registry may know it by a digest of another algorithm.
        if is_here(&record.id) {
            return Ok((record.id, None));
        }
        check(&record, layers.len())?;
        let (pin, here) = self.images.pin_present(&record.layers).await?;
        let leftovers = Leftovers::new(&self.images, &record.layers, pin);
        let blobs = layers.iter().map(|layer| layer.digest.clone()).collect();
        self.layers(layers, record.layers.clone(), &here).await?;
        Ok((record.id.clone(), Some(New { record, document, blobs, leftovers })))
    }

    async fn layers(
        &self,
        layers: Vec<Descriptor>,
        diff_ids: Vec<String>,
        here: &BTreeSet<String>,
    ) -> Result<()> {
        let mut seen = BTreeSet::new();
        let mut missing = Vec::new();
        for (blob, diff_id) in layers.into_iter().zip(diff_ids) {
            if !seen.insert(diff_id.clone()) {
                continue;
            }
            let there = here.contains(&diff_id);
            let status = if there { "Already exists" } else { "Pulling fs layer" };
            let (id, status) = (ids::short(&blob.digest).to_owned(), status.to_owned());
            let line = Progress::Status { id, status, current: 0, total: 0 };
            drop(self.progress.send(line).await);
            if !there {
                missing.push(Wanted { blob, diff_id });
            }
        }
        let at_once = missing.len().max(1);
        futures::stream::iter(missing.into_iter().map(Ok))
            .try_for_each_concurrent(at_once, |wanted| async move {
                self.images.download(&self.repository, &wanted, &self.progress).await
            })
            .await
    }

    /// An image of one platform alone is taken whatever was asked for, but not silently.
    async fn warn_of_platform(&self) {
        let asked = self.asked.canonical();
        let Ok(image) = self.images.find(&asked) else { return };
        if let Err(other) = platform::check(&image, &asked, &self.platform)
            && self.strict
        {
            self.say("", format!("WARNING: {other}")).await;
        }
    }

    fn event(&self) {
        self.images.named_event("pull", &self.asked);
    }

    async fn say(&self, id: &str, text: String) {
        drop(self.progress.send(Progress::Message { id: id.to_owned(), text }).await);
    }
}

impl Images {
    /// Makes image and names visible; whether the name meant something else before.
    async fn commit_pulled(
        &self,
        repository: String,
        new: Option<New>,
        names: Vec<(Reference, String)>,
        id: &str,
        listed: Option<Platform>,
    ) -> Result<bool> {
        let change = self.inner.change.lock().await;
        let newer = match names.last() {
            Some((name, id)) => self.state().references.get(&name.canonical()) != Some(id),
            None => false,
        };
        let (mut record, leftovers) = match new {
            Some(New { record, document, blobs, leftovers }) => {
                let store = self.inner.store.clone();
                let kept = blocking(move || {
                    for (layer, blob) in record.layers.iter().zip(&blobs) {
                        store.note_claim(layer, &repository, blob)?;
                    }
                    store.keep_image(&document)
                });
                (kept.await?, Some(leftovers))
            }
            None => ((*self.find(id)?).clone(), None),
        };
        let listed = listed.map(|platform| platform::shown(&platform));
        if let Some(platform) = listed.filter(|platform| !record.listed.contains(platform)) {
            record.listed.push(platform);
        }
        self.commit(vec![record], &names).await?;
        if let Some(leftovers) = leftovers {
            leftovers.are_needed();
        }
        drop(change);
        Ok(newer)
    }
}

/// The reference a request means.
fn asked(name: &str, tag: &str) -> Result<Reference> {
    // `docker pull -a` of old clients ends so.
    let name = name.strip_suffix(':').unwrap_or(name);
    let mut asked = Reference::parse(name)?;
    if ["sha256:", "sha384:", "sha512:"].iter().any(|algorithm| tag.starts_with(algorithm)) {
        asked = Reference::parse(&format!("{}@{tag}", asked.familiar_repository()))?;
    } else if !tag.is_empty() {
        asked = asked.with_tag(tag)?;
    }
    if asked.familiar_repository() == "scratch" {
        return Err(Error::new(Kind::Forbidden, "'scratch' is a reserved name"));
    }
    Ok(asked)
}

fn check(image: &ImageRecord, layers: usize) -> Result<()> {
    if image.os != "linux" {
        return Err(Error::invalid(format!(
            "image operating system \"{}\" cannot be used on this platform",
            image.os
        )));
    }
    if image.layers.len() != layers {
        return Err(Error::invalid("layers from manifest don't match image configuration"));
    }
    if layers > MOST_LAYERS {
        return Err(Error::invalid("max depth exceeded"));
    }
    Ok(())
}
