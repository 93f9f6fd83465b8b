//! Making an image of one layer from a file system.

use engine_store::objects::HistoryRecord;
use engine_store::{Landed, NewImage};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;

use super::leftovers::Leftovers;
use super::reference::Reference;
use super::types::{ByteStream, ImportImage, Progress};
use super::whole::whole;
use super::{Images, changes, platform};
use crate::blocking::blocking;
use crate::config::ContainerConfig;
use crate::error::{Error, Result};
use crate::ports::{Download, Platform};
use crate::receiving::reader;
use crate::sending::received;
use crate::time;

const BACKLOG: usize = 16;
/// Bytes between two lines of progress.
const LINE: u64 = 512 * 1024;

/// What the image will be besides its layer; understood before anything is received.
struct Wanted {
    name: Option<Reference>,
    message: String,
    config: ContainerConfig,
    platform: Platform,
}

impl Images {
    /// Makes an image of one layer from a tar stream of a root filesystem; returns its id.
    pub async fn import(&self, archive: ByteStream, request: ImportImage) -> Result<String> {
        let wanted = self.wanted_import(request)?;
        let landed = self.land(archive).await?;
        self.make_imported(landed, wanted).await
    }

    /// The same from a web server. That it refuses is this call's error; the rest is in the stream,
    /// which ends early when nobody listens to it any more.
    pub async fn import_from(
        &self,
        address: &str,
        request: ImportImage,
    ) -> Result<BoxStream<'static, Progress>> {
        let wanted = self.wanted_import(request)?;
        let download = self.inner.remote.download(address).await?;
        let (progress, receiver) = mpsc::channel(BACKLOG);
        let images = self.clone();
        tokio::spawn(async move {
            let gone = progress.clone();
            tokio::select! {
                result = images.receive(download, wanted, progress) => if let Err(error) = result {
                    drop(gone.send(Progress::Error(error.with_causes())).await);
                },
                () = gone.closed() => tracing::info!("an import was given up"),
            }
        });
        Ok(received(receiver))
    }

    async fn receive(
        &self,
        download: Download,
        wanted: Wanted,
        progress: mpsc::Sender<Progress>,
    ) -> Result<()> {
        let say = |text: String| progress.send(Progress::Message { id: String::new(), text });
        drop(say(format!("Downloading from {}", download.address)).await);
        let (lines, total) = (progress.clone(), download.length.unwrap_or(0));
        let (mut current, mut told) = (0, 0);
        let content = download.content.inspect(move |part| {
            current += part.as_ref().map_or(0, |part| part.len() as u64);
            if current >= told + LINE || current == total {
                told = current;
                let (id, status) = (String::new(), "Importing".to_owned());
                // A line that does not fit is no loss.
                drop(lines.try_send(Progress::Status { id, status, current, total }));
            }
        });
        let landed = self.land(content.boxed()).await?;
        let images = self.clone();
        let id = whole(async move { images.make_imported(landed, wanted).await }).await?;
        drop(say(id).await);
        Ok(())
    }

    fn wanted_import(&self, request: ImportImage) -> Result<Wanted> {
        let name = match request.reference.as_str() {
            "" => None,
            text => Some(Reference::parse(text)?.or_latest()),
        };
        if name.as_ref().is_some_and(|name| name.digest.is_some()) {
            return Err(Error::invalid("cannot import digest reference"));
        }
        let mut config = ContainerConfig::default();
        changes::apply(&mut config, &request.changes)?;
        let platform = platform::parse(&request.platform, self.architecture())?;
        if platform.os != "linux" {
            return Err(Error::invalid("operating system is not supported"));
        }
        Ok(Wanted { name, message: request.message, config, platform })
    }

    async fn land(&self, archive: ByteStream) -> Result<Landed> {
        let store = self.inner.store.clone();
        let reader = reader(archive);
        blocking(move || store.land(reader)).await
    }

    async fn make_imported(&self, landed: Landed, wanted: Wanted) -> Result<String> {
        let Wanted { name, message, config, platform } = wanted;
        let change = self.inner.change.lock().await;
        let now = time::to_stored(self.inner.clock.now());
        let store = self.inner.store.clone();
        let layer = blocking(move || Ok(store.keep(&landed)?.diff_id)).await?;
        let own = std::slice::from_ref(&layer);
        let leftovers = Leftovers::new(self, own, self.pin(own));
        let (store, docker_version) = (self.inner.store.clone(), self.inner.version.clone());
        let record = blocking(move || {
            store.make_image(NewImage {
                created: now,
                comment: message.clone(),
                docker_version,
                architecture: platform.architecture,
                variant: platform.variant,
                os: platform.os,
                config,
                layers: vec![layer],
                history: vec![HistoryRecord {
                    created: Some(now),
                    comment: message,
                    ..HistoryRecord::default()
                }],
                ..NewImage::default()
            })
        })
        .await?;
        let id = record.id.clone();
        let names: Vec<_> = name.iter().map(|name| (name.clone(), id.clone())).collect();
        self.commit(vec![record], &names).await?;
        leftovers.are_needed();
        drop(change);
        if let Some(name) = name {
            self.event("tag", &id, &name.familiar());
        }
        self.event("import", &id, &id);
        Ok(id)
    }
}
