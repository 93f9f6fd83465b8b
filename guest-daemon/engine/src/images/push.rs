//! Bringing images to registries, told in dockerd's words. What is there already is not sent.

use std::collections::BTreeMap;

use engine_store::objects::ImageRecord;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;

use super::Images;
use super::reference::Reference;
use super::types::Progress;
use super::whole::whole;
use crate::blocking::blocking;
use crate::error::{Error, Kind, Result};
use crate::ids;
use crate::ports::{Access, Credentials, Descriptor, Outgoing, Repository};
use crate::sending::received;

const BACKLOG: usize = 100;

#[derive(Clone, Debug, Default)]
pub struct PushImage {
    /// Without a tag here or in `tag`, every tag of the repository is pushed.
    pub name: String,
    pub tag: String,
    /// Empty for whatever the image is.
    pub platform: String,
    pub credentials: Credentials,
}

pub(super) struct Push {
    pub(super) images: Images,
    pub(super) repository: Box<dyn Repository>,
    pub(super) asked: Reference,
    pub(super) progress: mpsc::Sender<Progress>,
}

impl Images {
    /// Whatever goes wrong with the registry is told in the stream. Ends early when nobody listens
    /// to that any more.
    pub async fn push(&self, request: PushImage) -> Result<BoxStream<'static, Progress>> {
        let mut asked = Reference::parse(&request.name)?;
        if !request.tag.is_empty() {
            asked = asked.with_tag(&request.tag)?;
        }
        let name = asked.clone().or_latest().canonical();
        match self.check_platform(&name, &request.platform) {
            // That is told of the tag.
            Err(error) if error.kind() == Kind::NotFound && self.find(&name).is_err() => {}
            checked => checked?,
        }
        let repository =
            self.inner.remote.repository(&asked, &request.credentials, Access::Push)?;
        let (progress, receiver) = mpsc::channel(BACKLOG);
        let push = Push { images: self.clone(), repository, asked, progress };
        tokio::spawn(async move {
            let gone = push.progress.clone();
            tokio::select! {
                result = push.run() => if let Err(error) = result {
                    drop(gone.send(Progress::Error(error.with_causes())).await);
                },
                () = gone.closed() => tracing::info!("a push was given up"),
            }
        });
        Ok(received(receiver))
    }
}

impl Push {
    async fn run(&self) -> Result<()> {
        let repository = self.asked.repository();
        self.say(format!("The push refers to repository [{repository}]")).await;
        for (name, id) in self.chosen()? {
            self.one(&name, &id).await?;
        }
        self.images.named_event("push", &self.asked);
        Ok(())
    }

    /// The names to push, with their images.
    fn chosen(&self) -> Result<Vec<(Reference, String)>> {
        let state = self.images.state();
        let all: Vec<(Reference, String)> = state
            .references
            .iter()
            .filter_map(|(name, id)| Some((Reference::parse(name).ok()?, id.clone())))
            .filter(|(name, _)| name.repository() == self.asked.repository())
            .collect();
        drop(state);
        let familiar = self.asked.familiar_repository();
        if all.is_empty() {
            return Err(Error::not_found(format!(
                "An image does not exist locally with the tag: {familiar}"
            )));
        }
        if self.asked.digest.is_some() {
            return Err(Error::invalid("cannot push a digest reference"));
        }
        let wanted = self.asked.tag.is_some();
        let chosen: Vec<_> = all
            .into_iter()
            .filter(|(name, _)| name.tag.is_some() && (!wanted || *name == self.asked))
            .collect();
        match (chosen.is_empty(), wanted) {
            (false, _) => Ok(chosen),
            (true, true) => {
                Err(Error::not_found(format!("tag does not exist: {}", self.asked.familiar())))
            }
            (true, false) => Err(Error::not_found(format!("no tags to push for {familiar}"))),
        }
    }

    async fn one(&self, name: &Reference, id: &str) -> Result<()> {
        let (image, pin) = self.images.hold(id)?;
        let document = self.document(&image.id).await?;
        let layers = self.layers(&image).await?;
        let config = self.config(&image.id, document).await?;
        let tag = name.tag.clone().unwrap_or_default();
        let written = self.repository.tag(&tag, &config, &layers).await?;
        drop(pin);
        let Descriptor { digest, size, .. } = written;
        self.say(format!("{tag}: digest: {digest} size: {size}")).await;
        let mut by_digest = name.clone();
        (by_digest.tag, by_digest.digest) = (None, Some(digest.clone()));
        self.remember(by_digest, &image.id).await?;
        drop(self.progress.send(Progress::Pushed { tag, digest, size }).await);
        Ok(())
    }

    /// The image may be found by the digest that it has there.
    async fn remember(&self, name: Reference, id: &str) -> Result<()> {
        let (images, id) = (self.images.clone(), id.to_owned());
        whole(async move {
            let change = images.inner.change.lock().await;
            let known = images.state().references.contains_key(&name.canonical());
            let here = images.state().images.get(&id).cloned();
            if let Some(image) = here.filter(|_| !known) {
                images.commit(vec![(*image).clone()], &[(name, id)]).await?;
            }
            drop(change);
            Ok(())
        })
        .await
    }

    /// Sends what is missing there; returns all of it, bottom first.
    async fn layers(&self, image: &ImageRecord) -> Result<Vec<Descriptor>> {
        let mut distinct: Vec<String> = Vec::new();
        for layer in image.layers.iter().rev() {
            if !distinct.contains(layer) {
                distinct.push(layer.clone());
                self.status(layer, "Preparing", 0, 0).await;
            }
        }
        let at_once = self.images.inner.transfers.uploads;
        let sent: BTreeMap<String, Descriptor> = futures::stream::iter(distinct)
            .map(|layer| async move {
                let sent = self.layer(&layer).await?;
                Ok::<_, Error>((layer, sent))
            })
            .buffer_unordered(at_once.max(1))
            .try_collect()
            .await?;
        let missing = || Error::not_found("a layer was not sent");
        image.layers.iter().map(|layer| sent.get(layer).cloned().ok_or_else(missing)).collect()
    }

    /// Read before anything is sent: the image may be removed meanwhile.
    async fn document(&self, id: &str) -> Result<Vec<u8>> {
        let (store, id) = (self.images.inner.store.clone(), id.to_owned());
        blocking(move || store.image_document(&id)).await
    }

    async fn config(&self, id: &str, document: Vec<u8>) -> Result<Descriptor> {
        let size = document.len() as u64;
        if !self.repository.has_blob(id).await? {
            let content = futures::stream::iter([Ok(document.into())]).boxed();
            let digest = Box::pin(std::future::ready(Ok(id.to_owned())));
            self.repository.upload(Outgoing { content, digest }).await?;
        }
        Ok(Descriptor { digest: id.to_owned(), size, ..Descriptor::default() })
    }

    pub(super) async fn status(&self, layer: &str, status: &str, current: u64, total: u64) {
        let (id, status) = (ids::short(layer).to_owned(), status.to_owned());
        drop(self.progress.send(Progress::Status { id, status, current, total }).await);
    }

    async fn say(&self, text: String) {
        drop(self.progress.send(Progress::Message { id: String::new(), text }).await);
    }
}
