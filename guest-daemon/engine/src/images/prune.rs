//! `docker image prune`.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine_store::objects::ImageRecord;

use super::Images;
use super::reference::Reference;
use super::types::Removed;
use crate::error::{Error, Kind, Result};
use crate::filters::{self, Filters};

const FILTERS: [&str; 4] = ["dangling", "label", "label!", "until"];

impl Images {
    /// Removes images that have no tag (with `dangling=false` also those that no container uses);
    /// what was removed, and the bytes of the layers that went.
    pub async fn prune(&self, wanted: &Filters) -> Result<(Vec<Removed>, u64)> {
        let _only_one = self
            .inner
            .pruning
            .try_lock()
            .map_err(|_| Error::conflict("a prune operation is already running"))?;
        filters::check(wanted, &FILTERS)?;
        let dangling = filters::truth(wanted, "dangling")?.unwrap_or(true);
        let until = filters::until(wanted, self.inner.clock.now())?;
        let sizes = self.chain_sizes();
        let mut removed = Vec::new();
        for image in self.prunable(dangling, until, wanted) {
            for text in self.handles(&image.id, dangling) {
                match self.remove(&text, false, true).await {
                    Ok(steps) => removed.extend(steps),
                    Err(error) if error.kind() == Kind::Conflict => {}
                    Err(error) => tracing::info!(image = text, reason = %error, "not pruned"),
                }
            }
        }
        let bytes: u64 = removed
            .iter()
            .filter_map(|step| match step {
                Removed::Deleted(chain) => sizes.get(chain),
                Removed::Untagged(_) => None,
            })
            .sum();
        let attributes = BTreeMap::from([("reclaimed".to_owned(), bytes.to_string())]);
        self.inner.events.publish("image", "prune", "", attributes);
        Ok((removed, bytes))
    }

    /// The newest first, so that an image goes before the one that it was made from.
    fn prunable(
        &self,
        dangling: bool,
        until: Option<i128>,
        wanted: &Filters,
    ) -> Vec<Arc<ImageRecord>> {
        let state = self.state();
        let mut images: Vec<Arc<ImageRecord>> = state
            .images
            .values()
            .filter(|image| {
                let is_step = state.has_children(&image.id)
                    && (dangling || state.names_of(&image.id).is_empty());
                let is_old = until.is_none_or(|until| {
                    image.created.is_some_and(|created| i128::from(created) <= until)
                });
                !is_step && is_old && filters::labels_to_prune(wanted, &image.config.labels)
            })
            .cloned()
            .collect();
        drop(state);
        images.sort_by_key(|image| std::cmp::Reverse(image.created));
        images
    }

    /// By what an image is removed: each of its names, or its id when it has none.
    fn handles(&self, id: &str, dangling: bool) -> Vec<String> {
        let names = self.state().names_of(id);
        if dangling && names.iter().any(|name| name.tag.is_some()) {
            return Vec::new();
        }
        if names.is_empty() {
            return vec![id.to_owned()];
        }
        names.iter().map(Reference::canonical).collect()
    }
}
