//! The image's side of `docker commit`: one more layer, or none, on what a container stands on.

use engine_store::objects::{HistoryRecord, ImageRecord};
use engine_store::{Landed, NewImage, Spooled, StoreError};

use super::Images;
use super::leftovers::Leftovers;
use super::reference::Reference;
use crate::blocking::blocking;
use crate::config::ContainerConfig;
use crate::error::Result;
use crate::time;

/// What a committed image is besides its new layer.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommitImage {
    /// The container's id.
    pub container: String,
    /// The image's id that the container was made from.
    pub parent: String,
    /// diff ids that the container stands on, bottom first.
    pub layers: Vec<String>,
    pub author: String,
    pub comment: String,
    pub created_by: String,
    pub config: ContainerConfig,
}

impl Images {
    /// Receives a container's own layer.
    pub(crate) async fn spool_container(&self, container: &str) -> Result<Spooled> {
        let (store, container) = (self.inner.store.clone(), container.to_owned());
        blocking(move || store.spool_container(&container)).await
    }

    /// Makes the image, and gives it a name; returns its id.
    pub(crate) async fn commit_container(
        &self,
        layer: Spooled,
        request: CommitImage,
        name: Option<Reference>,
    ) -> Result<String> {
        let pin = self.pin(&request.layers);
        let landed = self.land_container(layer).await?;
        let change = self.inner.change.lock().await;
        let parent = self.find(&request.parent).ok();
        let parent = parent.map_or_else(|| self.nameless(&request), |known| (*known).clone());
        let now = time::to_stored(self.inner.clock.now());
        let empty_layer = landed.is_none();
        let own = self.keep_on(landed, &request.layers).await?;
        let leftovers = Leftovers::new(self, own.as_slice(), self.pin(own.as_slice()));
        let layers = [request.layers, own.into_iter().collect()].concat();
        let (store, docker_version) = (self.inner.store.clone(), self.inner.version.clone());
        let record = blocking(move || {
            let mut history = parent.history;
            history.push(HistoryRecord {
                created: Some(now),
                created_by: request.created_by,
                author: request.author.clone(),
                comment: request.comment.clone(),
                empty_layer,
            });
            store.make_image(NewImage {
                created: now,
                author: request.author,
                comment: request.comment,
                docker_version,
                architecture: parent.architecture,
                variant: parent.variant,
                os: parent.os,
                config: request.config,
                layers,
                history,
                parent: parent.id,
                container: request.container,
            })
        })
        .await?;
        let id = record.id.clone();
        let names: Vec<_> = name.iter().map(|name| (name.clone(), id.clone())).collect();
        self.commit(vec![record], &names).await?;
        leftovers.are_needed();
        drop((change, pin));
        self.event("create", &id, &id);
        if let Some(name) = name {
            self.event("tag", &id, &name.familiar());
        }
        Ok(id)
    }

    /// Unpacks a container's own layer, unless there is nothing in it.
    async fn land_container(&self, layer: Spooled) -> Result<Option<Landed>> {
        let store = self.inner.store.clone();
        blocking(move || {
            if layer.is_empty_layer() { Ok(None) } else { store.land_spooled(&layer).map(Some) }
        })
        .await
    }

    /// Keeps it. Those below may have gone with the container meanwhile.
    async fn keep_on(&self, layer: Option<Landed>, below: &[String]) -> Result<Option<String>> {
        let (store, below) = (self.inner.store.clone(), below.to_vec());
        blocking(move || {
            for diff_id in below {
                if store.layer(&diff_id)?.is_none() {
                    return Err(StoreError::Missing(format!("layer {diff_id}")));
                }
            }
            layer.map(|layer| Ok(store.keep(&layer)?.diff_id)).transpose()
        })
        .await
    }

    /// What is left of an image that was removed by force: its layers.
    fn nameless(&self, request: &CommitImage) -> ImageRecord {
        ImageRecord {
            architecture: self.architecture().to_owned(),
            os: "linux".to_owned(),
            history: vec![HistoryRecord::default(); request.layers.len()],
            ..ImageRecord::default()
        }
    }
}
