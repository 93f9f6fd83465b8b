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

    /// Those of the layers that no image, nobody who is about to, and none of `kept` stands on.
    pub(super) fn unused(&self, layers: &[String], kept: &BTreeSet<String>) -> Vec<String> {
        let used: BTreeSet<&String> = self
            .images
            .values()
            .flat_map(|image| &image.layers)
            .chain(kept)
            .chain(self.pins.keys())
            .collect();
        layers.iter().filter(|layer| !used.contains(layer)).cloned().collect()
    }

    /// Layers that nothing but this image stands on.
    pub(super) fn only_of(&self, id: &str, kept: &BTreeSet<String>) -> Vec<String> {
        let Some(image) = self.images.get(id) else { return Vec::new() };
        let shared: BTreeSet<&String> = self
            .images
            .values()
            .filter(|other| other.id != id)
            .flat_map(|other| &other.layers)
            .chain(kept)
            .chain(self.pins.keys())
            .collect();
        let mut layers: Vec<String> =
            image.layers.iter().filter(|layer| !shared.contains(layer)).cloned().collect();
        layers.dedup();
        layers
    }
}

pub(super) fn missing(name: &str) -> Error {
    Error::not_found(format!("No such image: {name}"))
}
