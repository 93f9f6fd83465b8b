//! Layers that stay although nothing visible stands on them yet, or any more.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine_store::objects::ImageRecord;

use super::Images;
use crate::blocking::blocking;
use crate::error::Result;

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

impl Images {
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
    pub(super) async fn sweep(&self, layers: &[String]) {
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

    /// Holds the layers, and says which of them are here. Under the lock: whatever is being removed
    /// is gone before, or stays.
    pub(super) async fn pin_present(&self, layers: &[String]) -> Result<(Pin, BTreeSet<String>)> {
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
}
