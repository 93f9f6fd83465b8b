//! Images: local names for configurations and the layers they stand on.

mod changes;
mod commit;
mod download;
mod expansion;
mod import;
mod leftovers;
mod list;
mod load;
mod platform;
mod pull;
mod push;
pub mod reference;
mod refusal;
mod remote;
mod remove;
mod save;
mod state;
mod types;
mod upload;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use engine_store::Store;
use engine_store::objects::{ImageRecord, ReferenceRecord};
use tokio::sync::Semaphore;

pub(crate) use changes::apply as apply_changes;
pub(crate) use commit::CommitImage;
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
}

impl Images {
    pub(crate) async fn open(surroundings: Surroundings) -> Result<Self> {
        let Surroundings { store, registry, remote, transfers, events, clock, architecture } =
            surroundings;
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
            Ok(state)
        })
        .await?;
        let change = tokio::sync::Mutex::new(());
        let state = RwLock::new(state);
        let inner = Inner {
            store,
            state,
            change,
            registry,
            remote,
            downloads: Downloads::new(transfers.downloads),
            uploads: Semaphore::new(transfers.uploads),
            transfers,
            events,
            clock,
            architecture,
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
            return Err(crate::Error::invalid("refusing to create a tag with a digest reference"));
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

    /// Layers that stay as long as the value returned, whether they are there yet or not.
    fn pin(&self, layers: &[String]) -> Pin {
        let mut state = self.state_mut();
        for layer in layers {
            *state.pins.entry(layer.clone()).or_default() += 1;
        }
        drop(state);
        Pin { images: self.clone(), layers: layers.to_vec() }
    }

    /// Removes those of the layers that nothing stands on.
    async fn sweep(&self, layers: &[String]) {
        let change = self.inner.change.lock().await;
        let kept: BTreeSet<String> = self
            .inner
            .registry
            .snapshots()
            .iter()
            .flat_map(|snapshot| snapshot.layers.clone())
            .collect();
        let unused = self.state().unused(layers, &kept);
        let store = self.inner.store.clone();
        if !unused.is_empty()
            && let Err(error) = blocking(move || store.remove_layers(&unused)).await
        {
            tracing::warn!(%error, "layers that nobody needs stay until the next start");
        }
        drop(change);
    }

    /// The record, whose layers stay as long as the value that comes with it, whatever is removed.
    pub(crate) fn hold(&self, reference: &str) -> Result<(Arc<ImageRecord>, Pin)> {
        let mut state = self.state_mut();
        let image = state.find(reference)?;
        for layer in &image.layers {
            *state.pins.entry(layer.clone()).or_default() += 1;
        }
        drop(state);
        let pin = Pin { images: self.clone(), layers: image.layers.clone() };
        Ok((image, pin))
    }

    /// The unpacked layers, topmost first.
    pub(crate) fn layer_paths(&self, layers: &[String]) -> Vec<PathBuf> {
        layers.iter().rev().map(|layer| self.inner.store.layout().layer_diff(layer)).collect()
    }

    pub(crate) fn layers_size(&self, layers: &[String]) -> u64 {
        let state = self.state();
        layers.iter().filter_map(|layer| state.layer_sizes.get(layer)).sum()
    }

    /// Bytes of all layers that images stand on.
    pub(crate) fn all_layers_size(&self) -> u64 {
        let state = self.state();
        let used: BTreeSet<&String> =
            state.images.values().flat_map(|image| &image.layers).collect();
        used.into_iter().filter_map(|layer| state.layer_sizes.get(layer)).sum()
    }

    /// By image: bytes of layers on which, with all that is below them, other images stand, too.
    pub(crate) fn shared_sizes(&self) -> BTreeMap<String, u64> {
        let state = self.state();
        let chains: BTreeMap<&String, Vec<String>> = state
            .images
            .values()
            .map(|image| (&image.id, engine_store::chain_ids(&image.layers)))
            .collect();
        let mut users: BTreeMap<&String, usize> = BTreeMap::new();
        for chain in chains.values().flatten() {
            *users.entry(chain).or_default() += 1;
        }
        let shared = |image: &ImageRecord| {
            let layers = chains[&image.id].iter().zip(&image.layers);
            let shared = layers.filter(|(chain, _)| users[chain] > 1);
            shared.filter_map(|(_, layer)| state.layer_sizes.get(layer)).sum()
        };
        state.images.values().map(|image| (image.id.clone(), shared(image))).collect()
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
            store.commit_images(&images, &references, &[])?;
            let mut layers = BTreeMap::new();
            for diff_id in images.iter().flat_map(|image| &image.layers) {
                if let Some(layer) = store.layer(diff_id)? {
                    layers.insert(layer.diff_id, layer.size);
                }
            }
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

/// Keeps layers from being removed while a container is made from them.
#[derive(Debug)]
pub(crate) struct Pin {
    images: Images,
    layers: Vec<String>,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.images.state_mut();
        for layer in &self.layers {
            if let Some(count) = state.pins.get_mut(layer) {
                *count -= 1;
                if *count == 0 {
                    state.pins.remove(layer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
