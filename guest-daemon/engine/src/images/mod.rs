//! Images: local names for configurations and the layers they stand on.

mod changes;
mod commit;
mod download;
mod expansion;
mod import;
mod leftovers;
mod list;
mod load;
mod pattern;
mod pin;
pub(crate) mod platform;
mod prune;
mod pull;
mod push;
pub mod reference;
mod refusal;
mod remote;
mod remove;
mod save;
mod sizes;
mod state;
mod types;
mod upload;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use engine_store::Store;
use engine_store::objects::{ImageRecord, ReferenceRecord};
use tokio::sync::Semaphore;

pub(crate) use changes::apply as apply_changes;
pub(crate) use commit::CommitImage;
pub use load::LoadImages;
pub(crate) use pin::Pin;
pub use pull::PullImage;
pub use push::PushImage;
pub(crate) use reference::Reference;
pub use remote::{Distribution, SearchImages};
pub use types::{ByteStream, History, Image, ImportImage, ListImages, Progress, Removed};

use crate::blocking::blocking;
use crate::containers::Registry;
use crate::error::Result;
use crate::events::Events;
use crate::ports;
use crate::settings::Transfers;
use crate::time::{self, Clock};
use download::Downloads;
use state::State;

/// The service over images. A `reference` is `sha256:…`, a unique prefix of an id, `name`,
/// `name:tag` or `name@digest`; `docker.io/library/` is understood.
#[derive(Clone)]
pub struct Images {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Images {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Images").finish_non_exhaustive()
    }
}

struct Inner {
    store: Store,
    state: RwLock<State>,
    /// Held while images and names change, so that no layer is removed that is just being added.
    change: tokio::sync::Mutex<()>,
    /// Held by a prune.
    pruning: tokio::sync::Mutex<()>,
    registry: Registry,
    remote: Arc<dyn ports::Registry>,
    downloads: Downloads,
    /// How many uploads may run.
    uploads: Semaphore,
    transfers: Transfers,
    events: Events,
    clock: Arc<dyn Clock>,
    /// `amd64`, `arm64`.
    architecture: String,
    /// Of this program.
    version: String,
}

/// What images are made with.
pub(crate) struct Surroundings {
    pub store: Store,
    pub registry: Registry,
    pub remote: Arc<dyn ports::Registry>,
    pub transfers: Transfers,
    pub events: Events,
    pub clock: Arc<dyn Clock>,
    pub architecture: String,
    pub version: String,
}

impl Images {
    pub(crate) async fn open(surroundings: Surroundings) -> Result<Self> {
        let Surroundings {
            store,
            registry,
            remote,
            transfers,
            events,
            clock,
            architecture,
            version,
        } = surroundings;
        let reading = store.clone();
        let state = blocking(move || {
            let mut state = State::default();
            for layer in reading.layers()? {
                state.layer_sizes.insert(layer.diff_id, layer.size);
            }
            for image in reading.images()? {
                state.images.insert(image.id.clone(), Arc::new(image));
            }
            for (name, reference) in reading.references()? {
                if state.images.contains_key(&reference.image) {
                    state.references.insert(name, reference.image);
                }
            }
            let used: BTreeSet<&String> =
                state.images.values().flat_map(|image| &image.layers).collect();
            let all = state.layer_sizes.keys();
            state.orphans = all.filter(|layer| !used.contains(layer)).cloned().collect();
            Ok(state)
        })
        .await?;
        let change = tokio::sync::Mutex::new(());
        let state = RwLock::new(state);
        let inner = Inner {
            store,
            state,
            change,
            pruning: tokio::sync::Mutex::new(()),
            registry,
            remote,
            downloads: Downloads::new(transfers.downloads),
            uploads: Semaphore::new(transfers.uploads),
            transfers,
            events,
            clock,
            architecture,
            version,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub fn inspect(&self, reference: &str) -> Result<Image> {
        let record = self.find(reference)?;
        Ok(self.show(&record))
    }

    pub async fn tag(&self, reference: &str, repository: &str, tag: &str) -> Result<()> {
        let mut name = Reference::parse(repository)?;
        if !tag.is_empty() {
            name = name.with_tag(tag)?;
        }
        let name = name.or_latest();
        if name.digest.is_some() {
            return Err(crate::Error::invalid("cannot import digest reference"));
        }
        if name.familiar_repository() == "sha256" {
            return Err(crate::Error::invalid(
                "refusing to create an ambiguous tag using digest algorithm as name",
            ));
        }
        let change = self.inner.change.lock().await;
        let image = self.find(reference)?;
        self.commit(vec![(*image).clone()], &[(name.clone(), image.id.clone())]).await?;
        drop(change);
        self.event("tag", &image.id, &name.familiar());
        Ok(())
    }

    /// The record, for those who build containers from it.
    pub(crate) fn find(&self, reference: &str) -> Result<Arc<ImageRecord>> {
        self.state().find(reference)
    }

    /// The ids of an image and of all that were made from it, here.
    pub(crate) fn descendants(&self, reference: &str) -> Vec<String> {
        let state = self.state();
        let found = state.find(reference);
        found.map(|image| state.with_descendants(&image.id)).unwrap_or_default()
    }

    /// Refuses an image that is for another platform than this; an empty one is any.
    pub fn check_platform(&self, reference: &str, platform: &str) -> Result<()> {
        if platform.is_empty() {
            return Ok(());
        }
        let wanted = platform::parse(platform, &self.inner.architecture)?;
        platform::check(&*self.find(reference)?, reference, &wanted)
    }

    /// The unpacked layers, topmost first.
    pub(crate) fn layer_paths(&self, layers: &[String]) -> Vec<PathBuf> {
        layers.iter().rev().map(|layer| self.inner.store.layout().layer_diff(layer)).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.state().images.len()
    }

    pub(crate) fn architecture(&self) -> &str {
        &self.inner.architecture
    }

    /// Writes images and names to the store, then shows them. The caller holds `change`.
    async fn commit(&self, images: Vec<ImageRecord>, names: &[(Reference, String)]) -> Result<()> {
        let now = time::to_stored(self.inner.clock.now());
        let images: Vec<ImageRecord> = images
            .into_iter()
            .map(|image| {
                let named = names.iter().any(|(_, id)| *id == image.id);
                ImageRecord {
                    last_tagged: if named { Some(now) } else { image.last_tagged },
                    ..image
                }
            })
            .collect();
        let references: Vec<(String, ReferenceRecord)> = names
            .iter()
            .map(|(name, id)| {
                let version = engine_store::objects::VERSION;
                (name.canonical(), ReferenceRecord { version, image: id.clone() })
            })
            .collect();
        let store = self.inner.store.clone();
        let (images, references, layers) = blocking(move || {
            let mut layers = BTreeMap::new();
            for diff_id in images.iter().flat_map(|image| &image.layers) {
                if let Some(layer) = store.layer(diff_id)? {
                    layers.insert(layer.diff_id, layer.size);
                }
            }
            // The last that can fail, or the store would have what is not shown.
            store.commit_images(&images, &references, &[])?;
            Ok((images, references, layers))
        })
        .await?;
        let mut state = self.state_mut();
        state.layer_sizes.extend(layers);
        for image in images {
            state.images.insert(image.id.clone(), Arc::new(image));
        }
        for (name, reference) in references {
            state.references.insert(name, reference.image);
        }
        Ok(())
    }

    fn event(&self, action: &str, id: &str, name: &str) {
        let mut attributes = BTreeMap::new();
        if let Some(image) = self.state().images.get(id) {
            attributes.extend(image.config.labels.clone());
        }
        attributes.insert("name".to_owned(), name.to_owned());
        self.inner.events.publish("image", action, id, attributes);
    }

    /// Tells of something that happened with a name rather than with an image.
    fn named_event(&self, action: &str, name: &Reference) {
        let labels = self.find(&name.canonical()).map(|image| image.config.labels.clone());
        let mut attributes = labels.unwrap_or_default();
        attributes.insert("name".to_owned(), name.familiar_repository());
        self.inner.events.publish("image", action, &name.familiar(), attributes);
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.inner.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.inner.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
