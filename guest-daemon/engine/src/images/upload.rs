//! One layer on its way out: found there, taken over from a repository beside, or sent.

use std::time::Duration;

use bytes::Bytes;
use engine_store::objects::{CompressedRecord, LayerRecord};
use futures::StreamExt;
use tokio::sync::{mpsc, oneshot};

use super::push::Push;
use super::reference::Reference;
use crate::blocking::blocking;
use crate::error::{Error, Kind, Result};
use crate::ids;
use crate::ports::{Descriptor, Outgoing};
use crate::sending::received;

/// Parts on their way from the disk to the network.
const QUEUE: usize = 8;
/// Bytes between two lines of progress.
const LINE: u64 = 512 * 1024;
const MOST_MOUNTS: usize = 4;
const GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

impl Push {
    /// Brings one layer there, if it is not.
    pub(super) async fn layer(&self, diff_id: &str) -> Result<Descriptor> {
        let (store, id) = (self.images.inner.store.clone(), diff_id.to_owned());
        let (layer, media_type) = blocking(move || {
            let layer = store
                .layer(&id)?
                .ok_or_else(|| engine_store::StoreError::Missing(format!("layer {id}")))?;
            let media_type = store.layer_media_type(&layer)?;
            Ok((layer, media_type))
        })
        .await?;
        let as_it_is = media_type.map(|_| (layer.blob.clone(), layer.blob_size));
        let before = layer.compressed.clone().map(|known| (known.digest, known.size));
        let media_type = media_type.unwrap_or(GZIP).to_owned();
        if let Some((digest, size)) = as_it_is.clone().or(before)
            && self.is_there(&layer, &digest).await?
        {
            self.note(&layer, None).await?;
            return Ok(Descriptor { media_type, digest, size });
        }
        let CompressedRecord { digest, size } = self.send(&layer).await?;
        let compressed = CompressedRecord { digest: digest.clone(), size };
        self.note(&layer, Some(compressed).filter(|_| as_it_is.is_none())).await?;
        self.status(&layer.diff_id, "Pushed", 0, 0).await;
        Ok(Descriptor { media_type, digest, size })
    }

    /// Whether the registry has the blob, or takes it over from where it has it.
    async fn is_there(&self, layer: &LayerRecord, digest: &str) -> Result<bool> {
        if self.repository.has_blob(digest).await? {
            self.status(&layer.diff_id, "Layer already exists", 0, 0).await;
            return Ok(true);
        }
        let beside = layer
            .repositories
            .iter()
            .rev()
            .filter_map(|name| Reference::parse(name).ok())
            .filter(|name| name.domain() == self.asked.domain())
            .filter(|name| name.path() != self.asked.path())
            .take(MOST_MOUNTS);
        for name in beside {
            if self.repository.mount(digest, &name).await? {
                let status = format!("Mounted from {}", name.path());
                self.status(&layer.diff_id, &status, 0, 0).await;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sends it, again after a while when that fails.
    async fn send(&self, layer: &LayerRecord) -> Result<CompressedRecord> {
        if self.images.inner.uploads.available_permits() == 0 {
            self.status(&layer.diff_id, "Waiting", 0, 0).await;
        }
        let closed = |_| Error::new(Kind::Unavailable, "the engine ends");
        let place = self.images.inner.uploads.acquire().await.map_err(closed)?;
        let mut attempt = 1;
        let sent = loop {
            match self.attempt(layer).await {
                Err(error) if error.kind() == Kind::Internal && attempt < self.attempts() => {
                    tracing::info!(error = error.with_causes(), "an upload begins again");
                    self.pause(layer, attempt).await;
                    attempt += 1;
                }
                result => break result?,
            }
        };
        drop(place);
        Ok(sent)
    }

    async fn attempt(&self, layer: &LayerRecord) -> Result<CompressedRecord> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (done, digest) = oneshot::channel();
        let reading = self.read(layer.clone(), sender, done);
        let content = received(receiver).map(Ok).boxed();
        let digest = Box::pin(async move {
            digest.await.map_err(|_| Error::new(Kind::Internal, "a layer was not read to its end"))
        });
        let sent = self.repository.upload(Outgoing { content, digest }).await;
        let read = reading.await.map_err(|failed| Error::internal("reading a layer", failed))?;
        sent?;
        read
    }

    /// Hands the layer's bytes to the sender, and at the end their digest.
    fn read(
        &self,
        layer: LayerRecord,
        sender: mpsc::Sender<Bytes>,
        done: oneshot::Sender<String>,
    ) -> tokio::task::JoinHandle<Result<CompressedRecord>> {
        let (store, progress) = (self.images.inner.store.clone(), self.progress.clone());
        let (id, total) = (ids::short(&layer.diff_id).to_owned(), layer.blob_size);
        let mut told = 0;
        let seen = move |current: u64| {
            if current - told >= LINE || current == total {
                told = current;
                let (id, status) = (id.clone(), "Pushing".to_owned());
                // A line that does not fit is no loss.
                drop(progress.try_send(super::Progress::Status { id, status, current, total }));
            }
        };
        let sink = move |part: Bytes| {
            sender
                .blocking_send(part)
                .map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))
        };
        tokio::spawn(blocking(move || {
            let sent = store.send_layer(&layer, sink, seen)?;
            // An error only says that the upload has failed.
            drop(done.send(sent.digest.clone()));
            Ok(sent)
        }))
    }

    async fn note(&self, layer: &LayerRecord, compressed: Option<CompressedRecord>) -> Result<()> {
        let (store, id) = (self.images.inner.store.clone(), layer.diff_id.clone());
        let repository = self.asked.repository();
        blocking(move || store.note_layer(&id, &repository, compressed)).await
    }

    fn attempts(&self) -> usize {
        self.images.inner.transfers.attempts
    }

    async fn pause(&self, layer: &LayerRecord, attempt: usize) {
        for left in (1..=attempt * 2).rev() {
            let unit = if left == 1 { "second" } else { "seconds" };
            self.status(&layer.diff_id, &format!("Retrying in {left} {unit}"), 0, 0).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
