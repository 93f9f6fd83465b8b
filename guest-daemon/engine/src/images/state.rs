//! The images and names there are, in memory; the store has the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine_store::objects::ImageRecord;

use super::reference::Reference;
use crate::error::{Error, Result};
use crate::ids;

#[derive(Debug, Default)]
pub(super) struct State {
    /// By `sha256:…`.
    pub images: BTreeMap<String, Arc<ImageRecord>>,
    /// Canonical names and the ids they stand for.
    pub references: BTreeMap<String, String>,
    /// Bytes by diff id.
    pub layer_sizes: BTreeMap<String, u64>,
    /// Layers that somebody is about to stand on, as often as there are such.
    pub pins: BTreeMap<String, usize>,
    /// Layers of images that were removed while somebody else still needed them.
    pub orphans: BTreeSet<String>,
}

impl State {
    /// Finds an image by id, name or unique prefix of an id.
    pub(super) fn find(&self, text: &str) -> Result<Arc<ImageRecord>> {
        let id = if text.len() == 64 && ids::is_hex(text) {
            format!("sha256:{text}")
        } else {
            text.to_owned()
        };
        if let Some(image) = self.images.get(&id) {
            return Ok(Arc::clone(image));
        }
        let parsed = Reference::parse(text);
        if let Ok(reference) = &parsed
            && let Some(image) = self.named(reference)
        {
            return Ok(image);
        }
        let prefix = text.strip_prefix("sha256:").unwrap_or(text);
        if ids::is_hex(prefix) {
            let whole = format!("sha256:{prefix}");
            let mut found = self
                .images
                .range(whole.clone()..)
                .take_while(|(id, _)| id.starts_with(&whole))
                .map(|(_, image)| image);
            match (found.next(), found.next()) {
                (Some(image), None) => return Ok(Arc::clone(image)),
                (Some(_), Some(_)) => {
                    return Err(Error::invalid(format!("image ID {text} is ambiguous")));
                }
                (None, _) => {}
            }
        }
        match parsed {
            Ok(reference) => Err(missing(&reference.or_latest().familiar())),
            // An id is no name, but it can be the id of nothing.
            Err(_) if ids::is_hex(prefix) => Err(missing(text)),
            Err(error) => Err(error),
        }
    }

    fn named(&self, reference: &Reference) -> Option<Arc<ImageRecord>> {
        let full = reference.clone().or_latest();
        if let Some(id) = self.references.get(&full.canonical()) {
            return self.images.get(id).cloned();
        }
        // `name:tag@digest` is found by its digest alone.
        let digest = full.digest?;
        let key = format!("{}@{digest}", reference.repository());
        self.images.get(self.references.get(&key)?).cloned()
    }

    /// Whether an image was made from this one, here.
    pub(super) fn has_children(&self, id: &str) -> bool {
        self.images.values().any(|image| image.parent == id)
    }

    /// An image and all that were made from it, here.
    pub(super) fn with_descendants(&self, id: &str) -> Vec<String> {
        let mut found = vec![id.to_owned()];
        let mut next = 0;
        while let Some(id) = found.get(next).cloned() {
            let made = self.images.values().filter(|image| image.parent == id);
            found.extend(made.map(|image| image.id.clone()));
            next += 1;
        }
        found
    }

    /// The names of an image.
    pub(super) fn names_of(&self, id: &str) -> Vec<Reference> {
        self.references
            .iter()
            .filter(|(_, image)| image.as_str() == id)
            .filter_map(|(name, _)| Reference::parse(name).ok())
            .collect()
    }

    pub(super) fn size_of(&self, image: &ImageRecord) -> u64 {
        image.layers.iter().filter_map(|layer| self.layer_sizes.get(layer)).sum()
    }

    pub(super) fn pin(&mut self, layers: &[String]) {
        for layer in layers {
            *self.pins.entry(layer.clone()).or_default() += 1;
        }
    }

    pub(super) fn unpin(&mut self, layers: &[String]) {
        for layer in layers {
            if let Some(count) = self.pins.get_mut(layer) {
                *count -= 1;
                if *count == 0 {
                    self.pins.remove(layer);
                }
            }
        }
    }

    /// Those of the layers that no image, nobody who is about to, and none of `kept` stands on.
    pub(super) fn unclaimed(&mut self, layers: &[String], kept: &BTreeSet<&String>) -> Vec<String> {
        let of_images: BTreeSet<&String> =
            self.images.values().flat_map(|image| &image.layers).collect();
        let mut unclaimed = Vec::new();
        for layer in layers.iter().filter(|layer| !of_images.contains(layer)) {
            if self.pins.contains_key(layer) || kept.contains(layer) {
                self.orphans.insert(layer.clone());
            } else if !unclaimed.contains(layer) {
                self.orphans.remove(layer);
                self.layer_sizes.remove(layer);
                unclaimed.push(layer.clone());
            }
        }
        unclaimed
    }

    pub(super) fn orphans_of(&self, layers: &[String]) -> Vec<String> {
        layers.iter().filter(|layer| self.orphans.contains(*layer)).cloned().collect()
    }
}

pub(super) fn missing(name: &str) -> Error {
    Error::not_found(format!("No such image: {name}"))
}
