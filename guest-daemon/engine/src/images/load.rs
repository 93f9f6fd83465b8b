//! Receiving images as an archive.

use engine_store::ArchiveProgress;
use engine_store::objects::ImageRecord;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::Images;
use super::reference::Reference;
use super::types::{ByteStream, Progress};
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::ids;
use crate::sending::received;

impl Images {
    /// Loads a docker-archive or an OCI layout in a tar stream, plain or compressed.
    pub async fn load(
        &self,
        archive: ByteStream,
        quiet: bool,
    ) -> Result<BoxStream<'static, Progress>> {
        let store = self.inner.store.clone();
        let mut reader = SyncIoBridge::new(StreamReader::new(archive));
        let spooled = blocking(move || {
            let spooled = store.spool_archive(&mut reader)?;
            // The rest is padding, but a client that is not read to the end sees a broken pipe.
            drop(std::io::copy(&mut reader, &mut std::io::sink()));
            Ok(spooled)
        })
        .await
        .map_err(|error| match error.kind() {
            crate::Kind::InvalidArgument => error,
            _ => Error::internal("cannot receive the archive", error),
        })?;
        let (sender, receiver) = mpsc::channel(16);
        let images = self.clone();
        tokio::spawn(async move {
            if let Err(error) = images.register(spooled, quiet, &sender).await {
                drop(sender.send(Progress::Error(error.with_causes())).await);
            }
        });
        Ok(received(receiver))
    }

    async fn register(
        &self,
        spooled: engine_store::Spooled,
        quiet: bool,
        progress: &mpsc::Sender<Progress>,
    ) -> Result<()> {
        let change = self.inner.change.lock().await;
        let (store, architecture) = (self.inner.store.clone(), self.inner.architecture.clone());
        let steps = progress.clone();
        let loaded = blocking(move || {
            store.load_archive(&spooled, &architecture, |step| {
                let ArchiveProgress::Layer { diff_id, current, total } = step;
                if !quiet {
                    let id = ids::short(&diff_id).to_owned();
                    let status = "Loading layer".to_owned();
                    // Nobody may be listening any more; loading goes on.
                    drop(steps.blocking_send(Progress::Status { id, status, current, total }));
                }
            })
        })
        .await?;
        let mut lines = Vec::new();
        let mut names: Vec<(Reference, String)> = Vec::new();
        for image in &loaded {
            for name in &image.names {
                let name = Reference::parse(name)?.or_latest();
                lines.extend(self.moved_name(&name, &image.record.id));
                lines.push(format!("Loaded image: {}\n", name.familiar()));
                names.push((name, image.record.id.clone()));
            }
            if image.names.is_empty() {
                lines.push(format!("Loaded image ID: {}\n", image.record.id));
            }
        }
        let records: Vec<ImageRecord> =
            loaded.iter().map(|image| self.known(&image.record)).collect();
        self.commit(records, &names).await?;
        drop(change);
        for image in &loaded {
            self.event("load", &image.record.id, &image.record.id);
        }
        for line in lines {
            drop(progress.send(Progress::Stream(line)).await);
        }
        Ok(())
    }

    /// What is known about an image beyond its document stays known.
    fn known(&self, record: &ImageRecord) -> ImageRecord {
        let Some(known) = self.state().images.get(&record.id).cloned() else {
            return record.clone();
        };
        ImageRecord {
            last_tagged: known.last_tagged,
            parent: known.parent.clone(),
            ..record.clone()
        }
    }

    fn moved_name(&self, name: &Reference, id: &str) -> Option<String> {
        let state = self.state();
        let other = state.references.get(&name.canonical()).filter(|other| *other != id)?;
        Some(format!(
            "The image {} already exists, renaming the old one with ID {other} to empty string\n",
            name.familiar()
        ))
    }
}
