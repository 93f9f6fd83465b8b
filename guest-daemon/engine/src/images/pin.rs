//! Which layers stay: those of images, those of containers, and those that somebody is about to
//! stand on or is reading.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine_store::objects::ImageRecord;

use super::Images;
use super::state::State;
use crate::blocking::blocking;
use crate::error::Result;

/// Layers that stay as long as this value, whatever is removed.
#[derive(Debug)]
pub(crate) struct Pin {
    images: Images,
    layers: Vec<String>,
}

impl Images {
    /// Pins layers, whether they are there yet or not.
    pub(super) fn pin(&self, layers: &[String]) -> Pin {
        self.state_mut().pin(layers);
        Pin { images: self.clone(), layers: layers.to_vec() }
    }

    /// The same, and says which of them are here. Under the lock: whatever is being removed is
    /// gone before, or stays.
    pub(crate) async fn pin_present(&self, layers: &[String]) -> Result<(Pin, BTreeSet<String>)> {
        let change = self.inner.change.lock().await;
        let pin = self.pin(layers);
        let (store, layers) = (self.inner.store.clone(), layers.to_vec());
        let here = blocking(move || {
            let mut here = BTreeSet::new();
            for layer in layers {
                if store.layer(&layer)?.is_some() {
                    here.insert(layer);
                }
            }
            Ok(here)
        })
        .await?;
        drop(change);
        Ok((pin, here))
    }

    /// An image's record, whose layers stay as long as the value that comes with it.
    pub(crate) fn hold(&self, reference: &str) -> Result<(Arc<ImageRecord>, Pin)> {
        let mut state = self.state_mut();
        let image = state.find(reference)?;
        state.pin(&image.layers);
        drop(state);
        let pin = Pin { images: self.clone(), layers: image.layers.clone() };
        Ok((image, pin))
    }

    /// Removes those of the layers that nothing needs.
    pub(super) async fn sweep(&self, layers: &[String]) {
        let change = self.inner.change.lock().await;
        let unused = self.unclaimed(&mut self.state_mut(), layers);
        let store = self.inner.store.clone();
        if !unused.is_empty()
            && let Err(error) = blocking(move || store.remove_layers(&unused)).await
        {
            tracing::warn!(%error, "layers that nobody needs stay until the next start");
        }
        drop(change);
    }

    /// Those of the layers that can go now. The caller holds `change`. Containers are looked at
    /// after the pins: who makes one holds a pin until it is listed.
    pub(super) fn unclaimed(&self, state: &mut State, layers: &[String]) -> Vec<String> {
        let containers = self.inner.registry.snapshots();
        let kept = containers.iter().flat_map(|container| container.all_layers()).collect();
        state.unclaimed(layers, &kept)
    }

    /// Somebody does not need these layers any more. It may have been the last, if their image was
    /// removed meanwhile.
    pub(crate) fn release(&self, layers: &[String]) {
        let orphans = self.state().orphans_of(layers);
        // Without a runtime the engine is ending; the next start looks, too.
        if !orphans.is_empty()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let images = self.clone();
            runtime.spawn(async move { images.sweep(&orphans).await });
        }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.images.state_mut().unpin(&self.layers);
        self.images.release(&self.layers);
    }
}
