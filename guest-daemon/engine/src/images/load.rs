//! Receiving images as an archive.

use std::sync::Arc;

use engine_store::objects::ImageRecord;
use engine_store::{ArchivePlatform, ArchiveProgress, ArchivedImage, Choice, Spooled};
use futures::stream::BoxStream;
use tokio::sync::mpsc;

use super::leftovers::Leftovers;
use super::reference::Reference;
use super::types::{ByteStream, Progress};
use super::{Images, platform};
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::ids;
use crate::ports::Platform;
use crate::receiving::reader;
use crate::sending::received;

/// Bytes between two lines of progress.
const LINE: u64 = 512 * 1024;

#[derive(Clone, Debug, Default)]
pub struct LoadImages {
    pub quiet: bool,
    /// `linux/arm64`; empty for this machine's where there is a choice.
    pub platform: String,
}

/// An archive's images for one platform.
struct Wanted {
    platform: Platform,
    /// The user named it.
    strict: bool,
}

/// A name and the id it is for.
type Named = (Reference, String);

impl Images {
    /// Loads a docker-archive or an OCI layout in a tar stream, plain or compressed.
    pub async fn load(
        &self,
        archive: ByteStream,
        request: LoadImages,
    ) -> Result<BoxStream<'static, Progress>> {
        let platform = platform::parse(&request.platform, self.architecture())?;
        let wanted = Wanted { platform, strict: !request.platform.is_empty() };
        let store = self.inner.store.clone();
        let mut reader = reader(archive);
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
            let spooled = Arc::new(spooled);
            let registered = images.register(&spooled, wanted, request.quiet, &sender).await;
            // Layers that no image needed are many files.
            drop(tokio::task::spawn_blocking(move || drop(spooled)).await);
            if let Err(error) = registered {
                drop(sender.send(Progress::Error(error.with_causes())).await);
            }
        });
        Ok(received(receiver))
    }

    async fn register(
        &self,
        spooled: &Arc<Spooled>,
        wanted: Wanted,
        quiet: bool,
        progress: &mpsc::Sender<Progress>,
    ) -> Result<()> {
        let images = self.understand(spooled, wanted).await?;
        let names = names_of(&images)?;
        let mut layers: Vec<String> =
            images.iter().flat_map(|image| image.record.layers.clone()).collect();
        layers.sort();
        layers.dedup();
        let (pin, _) = self.pin_present(&layers).await?;
        let leftovers = Leftovers::new(self, &layers, pin);
        self.unpack(spooled, &images, progress.clone(), quiet).await?;

        let change = self.inner.change.lock().await;
        let (store, archived) = (self.inner.store.clone(), images.clone());
        let kept = Arc::clone(spooled);
        blocking(move || archived.iter().try_for_each(|image| store.keep_archived(&kept, image)))
            .await?;
        let lines = self.told(&images, &names);
        let records: Vec<ImageRecord> =
            images.iter().map(|image| self.known(&image.record)).collect();
        self.commit(records, &names).await?;
        leftovers.are_needed();
        drop(change);
        for image in &images {
            self.event("load", &image.record.id, &image.record.id);
        }
        for line in lines {
            drop(progress.send(Progress::Stream(line)).await);
        }
        Ok(())
    }

    async fn understand(
        &self,
        spooled: &Arc<Spooled>,
        wanted: Wanted,
    ) -> Result<Vec<ArchivedImage>> {
        let (spooled, shown) = (Arc::clone(spooled), platform::shown(&wanted.platform));
        let strict = wanted.strict;
        let images = blocking(move || spooled.images(&wanted)).await?;
        if images.is_empty() && strict {
            let text = format!("the archive has no image for the platform {shown}");
            return Err(Error::not_found(text));
        }
        Ok(images)
    }

    async fn unpack(
        &self,
        spooled: &Arc<Spooled>,
        images: &[ArchivedImage],
        progress: mpsc::Sender<Progress>,
        quiet: bool,
    ) -> Result<()> {
        let (store, spooled) = (self.inner.store.clone(), Arc::clone(spooled));
        let images = images.to_vec();
        blocking(move || {
            let mut told = 0;
            let mut tell = |step: ArchiveProgress| {
                let ArchiveProgress { diff_id, current, total } = step;
                let is_news = current == 0 || current == total || current >= told + LINE;
                if quiet || !is_news {
                    return;
                }
                told = current;
                let id = ids::short(&diff_id).to_owned();
                let status = "Loading layer".to_owned();
                // Nobody may be listening any more; loading goes on.
                drop(progress.blocking_send(Progress::Status { id, status, current, total }));
            };
            images.iter().try_for_each(|image| store.load_layers(&spooled, image, &mut tell))
        })
        .await
    }

    /// What is known about an image beyond its document stays known.
    fn known(&self, record: &ImageRecord) -> ImageRecord {
        let Some(known) = self.state().images.get(&record.id).cloned() else {
            return record.clone();
        };
        ImageRecord {
            last_tagged: known.last_tagged,
            parent: known.parent.clone(),
            listed: known.listed.clone(),
            ..record.clone()
        }
    }

    /// What was loaded, in dockerd's words.
    fn told(&self, images: &[ArchivedImage], names: &[Named]) -> Vec<String> {
        let mut lines = Vec::new();
        for image in images {
            let id = &image.record.id;
            for (name, _) in names.iter().filter(|(_, named)| named == id) {
                lines.extend(self.moved_name(name, id));
                lines.push(format!("Loaded image: {}\n", name.familiar()));
            }
            if image.names.is_empty() {
                lines.push(format!("Loaded image ID: {id}\n"));
            }
        }
        lines.dedup();
        lines
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

fn names_of(images: &[ArchivedImage]) -> Result<Vec<Named>> {
    let mut names: Vec<Named> = Vec::new();
    for image in images {
        for text in &image.names {
            let name = Reference::parse(text)?.or_latest();
            // A digest is not an archive's to give.
            if name.digest.is_some() {
                return Err(Error::invalid(format!("invalid tag {text:?}")));
            }
            names.push((name, image.record.id.clone()));
        }
    }
    Ok(names)
}

impl Choice for Wanted {
    fn among(&self, platforms: &[ArchivePlatform]) -> Option<usize> {
        let all: Vec<Platform> = platforms.iter().map(from_archive).collect();
        let says_nothing = |platform: &Platform| platform.architecture.is_empty();
        let best = platform::best(&all, &self.platform);
        let silent = all.iter().position(says_nothing);
        // Whoever did not ask for a platform takes what there is.
        best.or(silent).or(if self.strict || all.is_empty() { None } else { Some(0) })
    }

    fn wants(&self, image: &ImageRecord) -> bool {
        !self.strict || platform::is_strictly(&platform::of(image), &self.platform)
    }
}

fn from_archive(platform: &ArchivePlatform) -> Platform {
    Platform {
        os: platform.os.clone(),
        architecture: platform.architecture.clone(),
        variant: platform.variant.clone(),
        ..Platform::default()
    }
}
