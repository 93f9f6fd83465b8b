//! What registries have of a layer, so that a push need not send it again.

use crate::Store;
use crate::compression::GZIP;
use crate::database::{Change, Table};
use crate::error::{Result, StoreError};
use crate::objects::{KnownBlob, LayerRecord};

/// As many as are remembered for a layer.
const MOST_KNOWN: usize = 16;

impl Store {
    /// What registries may have of a layer, the newest last. One without a repository is how the
    /// layer came; who has that is not known.
    pub fn known_blobs(&self, layer: &LayerRecord) -> Result<Vec<KnownBlob>> {
        let own = self.own_blob(layer)?;
        let before = layer.compressed.as_ref().map(|compressed| KnownBlob {
            repository: String::new(),
            digest: compressed.digest.clone(),
            size: compressed.size,
            media_type: GZIP.to_owned(),
        });
        let mut known: Vec<KnownBlob> = own.iter().chain(&before).cloned().collect();
        if let Some(blob) = own.or(before) {
            let all = layer.repositories.iter();
            known.extend(all.map(|name| KnownBlob { repository: name.clone(), ..blob.clone() }));
        }
        known.extend(layer.known.iter().cloned());
        Ok(known)
    }

    /// The layer as it came, if it was so compressed that registries have it.
    fn own_blob(&self, layer: &LayerRecord) -> Result<Option<KnownBlob>> {
        let media_type = if layer.has_blob() {
            match self.blob_media_type(&layer.blob) {
                // Whoever wants to read it is told.
                Err(StoreError::Missing(_)) => None,
                other => other?,
            }
            .unwrap_or_default()
        } else {
            &layer.blob_type
        };
        let blob = KnownBlob {
            repository: String::new(),
            digest: layer.blob.clone(),
            size: layer.blob_size,
            media_type: media_type.to_owned(),
        };
        Ok(Some(blob).filter(|blob| !blob.media_type.is_empty()))
    }

    /// Remembers that a repository has a layer in this form.
    pub fn note_blob(&self, diff_id: &str, blob: &KnownBlob) -> Result<()> {
        let _alone = self.layers_change();
        let Some(layer) = self.layer(diff_id)? else { return Ok(()) };
        self.note(layer, blob)
    }

    /// The same of a repository that says it has it. It is believed when this digest was found to
    /// be the layer before: who is believed may be asked for the layer by a push.
    pub fn note_claim(&self, diff_id: &str, repository: &str, digest: &str) -> Result<()> {
        let _alone = self.layers_change();
        let Some(layer) = self.layer(diff_id)? else { return Ok(()) };
        let known = self.known_blobs(&layer)?;
        let Some(found) = known.into_iter().rfind(|known| known.digest == digest) else {
            return Ok(());
        };
        self.note(layer, &KnownBlob { repository: repository.to_owned(), ..found })
    }

    fn note(&self, mut layer: LayerRecord, blob: &KnownBlob) -> Result<()> {
        if layer.known.last() == Some(blob) {
            return Ok(());
        }
        layer.known.retain(|known| known != blob);
        layer.known.push(blob.clone());
        if layer.known.len() > MOST_KNOWN {
            layer.known.remove(0);
        }
        self.metadata().apply(&[Change::put(Table::Layers, &layer.diff_id, &layer)?])
    }
}
