//! One layer on its way out: found there, taken over from a repository beside, or sent.

use std::time::Duration;

use bytes::Bytes;
use engine_store::objects::{KnownBlob, LayerRecord};
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
/// Forms of a layer that are looked for.
const MOST_CHECKS: usize = 3;

/// Why a layer was not sent: it could not be read here, or was not taken there.
enum Failed {
    Here(Error),
    There(Error),
}

impl Push {
    /// Brings one layer there, if it is not.
    pub(super) async fn layer(&self, diff_id: &str) -> Result<Descriptor> {
        let (store, id) = (self.images.inner.store.clone(), diff_id.to_owned());
        let (layer, known) = blocking(move || {
            let layer = store
                .layer(&id)?
                .ok_or_else(|| engine_store::StoreError::Missing(format!("layer {id}")))?;
            let known = store.known_blobs(&layer)?;
            Ok((layer, known))
        })
        .await?;
        let there = match self.found(&layer, &known).await? {
            Some(found) => found,
            None => {
                let sent = self.send(&layer).await?;
                self.status(&layer.diff_id, "Pushed", 0, 0).await;
                sent
            }
        };
        self.note(&layer, &there).await?;
        let KnownBlob { digest, size, media_type, .. } = there;
        Ok(Descriptor { media_type, digest, size })
    }

    /// The form in which the registry has the layer, or takes it over from where it has it.
    async fn found(&self, layer: &LayerRecord, known: &[KnownBlob]) -> Result<Option<KnownBlob>> {
        for blob in self.forms(known) {
            if self.repository.has_blob(&blob.digest).await? {
                self.status(&layer.diff_id, "Layer already exists", 0, 0).await;
                return Ok(Some(blob.clone()));
            }
        }
        let beside = known
            .iter()
            .rev()
            .filter_map(|blob| Some((blob, Reference::parse(&blob.repository).ok()?)))
            .filter(|(_, name)| name.domain() == self.asked.domain())
            .filter(|(_, name)| name.path() != self.asked.path())
            .take(MOST_MOUNTS);
        for (blob, name) in beside {
            if self.repository.mount(&blob.digest, &name).await? && self.has_taken(blob).await? {
                let status = format!("Mounted from {}", name.path());
                self.status(&layer.diff_id, &status, 0, 0).await;
                return Ok(Some(blob.clone()));
            }
        }
        Ok(None)
    }

    /// Whether a blob that was taken over is there: Docker's registry says so of another algorithm's
    /// digest, too, and then does not find what it is for.
    async fn has_taken(&self, blob: &KnownBlob) -> Result<bool> {
        Ok(is_usual(blob) || self.repository.has_blob(&blob.digest).await?)
    }

    /// One of each form, first what this repository was known to have, then the newest. Not every
    /// registry knows every algorithm, but one that has had such a digest does.
    fn forms<'a>(&self, known: &'a [KnownBlob]) -> Vec<&'a KnownBlob> {
        let here = self.asked.repository();
        let (own, others): (Vec<_>, Vec<_>) =
            known.iter().rev().partition(|blob| blob.repository == here);
        let mut forms: Vec<&KnownBlob> = Vec::new();
        for blob in own.into_iter().chain(others) {
            let is_understood = is_usual(blob) || self.is_beside(blob);
            if is_understood && forms.iter().all(|form| form.digest != blob.digest) {
                forms.push(blob);
            }
        }
        forms.truncate(MOST_CHECKS);
        forms
    }

    /// Whether the registry is known to have it, wherever.
    fn is_beside(&self, blob: &KnownBlob) -> bool {
        Reference::parse(&blob.repository).is_ok_and(|name| name.domain() == self.asked.domain())
    }

    /// Sends it, again after a while when that fails.
    async fn send(&self, layer: &LayerRecord) -> Result<KnownBlob> {
        if self.images.inner.uploads.available_permits() == 0 {
            self.status(&layer.diff_id, "Waiting", 0, 0).await;
        }
        let closed = |_| Error::new(Kind::Unavailable, "the engine ends");
        let place = self.images.inner.uploads.acquire().await.map_err(closed)?;
        let mut attempt = 1;
        let sent = loop {
            match self.attempt(layer).await? {
                Err(Failed::There(error))
                    if error.kind() == Kind::Internal && attempt < self.attempts() =>
                {
                    tracing::info!(error = error.with_causes(), "an upload begins again");
                    self.pause(layer, attempt).await;
                    attempt += 1;
                }
                Err(Failed::Here(error) | Failed::There(error)) => return Err(error),
                Ok(sent) => break sent,
            }
        };
        drop(place);
        Ok(sent)
    }

    async fn attempt(&self, layer: &LayerRecord) -> Result<std::result::Result<KnownBlob, Failed>> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (done, digest) = oneshot::channel();
        let reading = self.read(layer.clone(), sender, done);
        let content = received(receiver).map(Ok).boxed();
        let digest = Box::pin(async move {
            digest.await.map_err(|_| Error::new(Kind::Internal, "a layer was not read to its end"))
        });
        let sent = self.repository.upload(Outgoing { content, digest }).await;
        let read = reading.await.map_err(|failed| Error::internal("reading a layer", failed))??;
        Ok(match (read, sent) {
            (Err(Failed::There(_)) | Ok(_), Err(error)) => Err(Failed::There(error)),
            (read, _) => read,
        })
    }

    /// Hands the layer's bytes to the sender, and at the end their digest.
    fn read(
        &self,
        layer: LayerRecord,
        sender: mpsc::Sender<Bytes>,
        done: oneshot::Sender<String>,
    ) -> tokio::task::JoinHandle<Result<std::result::Result<KnownBlob, Failed>>> {
        let (store, progress) = (self.images.inner.store.clone(), self.progress.clone());
        let (id, total) = (ids::short(&layer.diff_id).to_owned(), layer.read_size());
        let mut told = 0;
        let seen = move |current: u64| {
            if current - told >= LINE || current == total {
                told = current;
                let (id, status) = (id.clone(), "Pushing".to_owned());
                // A line that does not fit is no loss.
                drop(progress.try_send(super::Progress::Status { id, status, current, total }));
            }
        };
        tokio::spawn(blocking(move || {
            let mut is_taken = true;
            let sink = |part: Bytes| {
                is_taken = sender.blocking_send(part).is_ok();
                if is_taken { Ok(()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
            };
            Ok(match store.send_layer(&layer, sink, seen) {
                Ok(sent) => {
                    // An error only says that the upload has failed.
                    drop(done.send(sent.digest.clone()));
                    Ok(sent)
                }
                Err(error) if is_taken => Err(Failed::Here(error.into())),
                Err(error) => Err(Failed::There(error.into())),
            })
        }))
    }

    async fn note(&self, layer: &LayerRecord, there: &KnownBlob) -> Result<()> {
        let (store, id) = (self.images.inner.store.clone(), layer.diff_id.clone());
        let blob = KnownBlob { repository: self.asked.repository(), ..there.clone() };
        blocking(move || store.note_blob(&id, &blob)).await
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

/// Whether its digest is of the algorithm that every registry knows.
fn is_usual(blob: &KnownBlob) -> bool {
    blob.digest.starts_with("sha256:")
}
