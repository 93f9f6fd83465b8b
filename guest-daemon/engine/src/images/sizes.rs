//! How much of the disk layers take.

use std::collections::{BTreeMap, BTreeSet};

use engine_store::objects::ImageRecord;

use super::Images;

impl Images {
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
    pub(super) fn shared_sizes(&self) -> BTreeMap<String, u64> {
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

    /// Bytes of each layer by its chain id, which is how a removal speaks of it.
    pub(super) fn chain_sizes(&self) -> BTreeMap<String, u64> {
        let state = self.state();
        let mut sizes = BTreeMap::new();
        for image in state.images.values() {
            let chains = engine_store::chain_ids(&image.layers);
            for (chain, layer) in chains.into_iter().zip(&image.layers) {
                sizes.insert(chain, state.layer_sizes.get(layer).copied().unwrap_or(0));
            }
        }
        sizes
    }
}
