//! Layers on their way in: each comes once, however many pulls wait for it, and no more than a
//! few come at a time. What nobody waits for any more is given up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use engine_store::ExpectedLayer;
use engine_store::batch::{self, Batch};
use futures::future::{BoxFuture, Shared, WeakShared};
use futures::{FutureExt, StreamExt};
use tokio::sync::{Semaphore, mpsc, watch};

use super::{Images, Progress};
use crate::blocking::blocking;
use crate::error::{Error, Kind, Result};
use crate::ids;
use crate::ports::{Descriptor, Repository};

/// Bytes between two lines of progress.
const LINE: u64 = 512 * 1024;

/// How far a layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Waiting,
    Downloading(u64),
    /// It broke, and goes on in so many seconds.
    Retrying(u64),
    /// All bytes are here.
    Arrived,
}

/// An error for everybody who waits.
#[derive(Clone, Debug)]
struct Failed {
    kind: Kind,
    message: String,
}

type Fetched<T> = std::result::Result<T, Failed>;
type Running = Shared<BoxFuture<'static, Fetched<()>>>;
type Known = (WeakShared<BoxFuture<'static, Fetched<()>>>, watch::Receiver<Step>);

/// The downloads that are under way.
pub(super) struct Downloads {
    running: Mutex<BTreeMap<String, Known>>,
    places: Arc<Semaphore>,
}

/// A layer of a manifest together with what a configuration says about it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub blob: Descriptor,
    pub diff_id: String,
}

impl Downloads {
    pub(super) fn new(at_once: usize) -> Self {
        Self { running: Mutex::default(), places: Arc::new(Semaphore::new(at_once)) }
    }

    /// The download of this layer, and whether another pull has begun it.
    fn join(
        &self,
        key: &str,
        begin: impl FnOnce(watch::Sender<Step>) -> BoxFuture<'static, Fetched<()>>,
    ) -> (Running, watch::Receiver<Step>, bool) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, (download, _)| download.upgrade().is_some());
        if let Some((download, steps)) = running.get(key)
            && let Some(download) = download.upgrade()
            && download.peek().is_none()
        {
            return (download, steps.clone(), true);
        }
        let (sender, steps) = watch::channel(Step::Waiting);
        let download = begin(sender).shared();
        if let Some(weak) = download.downgrade() {
            running.insert(key.to_owned(), (weak, steps.clone()));
        }
        (download, steps, false)
    }
}

impl Images {
    /// Fetches a layer that is pinned, and tells how it goes.
    pub(super) async fn download(
        &self,
        repository: &Arc<dyn Repository>,
        wanted: &Wanted,
        progress: &mpsc::Sender<Progress>,
    ) -> Result<()> {
        let key = format!("{} {} {}", wanted.blob.digest, wanted.blob.size, wanted.diff_id);
        loop {
            let begin =
                |steps| fetch(self.clone(), Arc::clone(repository), wanted.clone(), steps).boxed();
            let (download, steps, others) = self.inner.downloads.join(&key, begin);
            match watched(download, steps, &wanted.blob, progress).await {
                Ok(()) => return Ok(()),
                // Another registry failed, or another user's rights; ours may be better.
                Err(_) if others => {}
                Err(failed) => return Err(Error::new(failed.kind, failed.message)),
            }
        }
    }
}

/// Waits for a download and says how far it is.
async fn watched(
    download: Running,
    mut steps: watch::Receiver<Step>,
    blob: &Descriptor,
    progress: &mpsc::Sender<Progress>,
) -> Fetched<()> {
    let line = Lines { id: ids::short(&blob.digest).to_owned(), progress };
    let mut download = download;
    let mut told = None;
    let result = loop {
        let now = *steps.borrow_and_update();
        if told != Some(now) {
            line.step(now, blob.size).await;
            told = Some(now);
        }
        tokio::select! {
            biased;
            result = &mut download => break result,
            Ok(()) = steps.changed() => {}
        }
    };
    result?;
    if told != Some(Step::Arrived) {
        line.step(Step::Arrived, blob.size).await;
    }
    line.say("Download complete", 0, 0).await;
    line.say("Extracting", blob.size, blob.size).await;
    line.say("Pull complete", 0, 0).await;
    Ok(())
}

struct Lines<'a> {
    id: String,
    progress: &'a mpsc::Sender<Progress>,
}

impl Lines<'_> {
    async fn step(&self, step: Step, size: u64) {
        match step {
            Step::Waiting => self.say("Waiting", 0, 0).await,
            Step::Downloading(0) => {}
            Step::Downloading(bytes) => self.say("Downloading", bytes, size).await,
            Step::Retrying(seconds) => {
                let s = if seconds == 1 { "" } else { "s" };
                self.say(&format!("Retrying in {seconds} second{s}"), 0, 0).await;
            }
            Step::Arrived => self.say("Verifying Checksum", 0, 0).await,
        }
    }

    async fn say(&self, status: &str, current: u64, total: u64) {
        let (id, status) = (self.id.clone(), status.to_owned());
        // When nobody listens any more the pull ends by itself.
        drop(self.progress.send(Progress::Status { id, status, current, total }).await);
    }
}

impl Images {
    /// Another pull may have brought it since this one looked.
    async fn has_layer(&self, diff_id: &str) -> Fetched<bool> {
        let (store, diff_id) = (self.inner.store.clone(), diff_id.to_owned());
        let found = blocking(move || store.layer(&diff_id)).await;
        found.map(|layer| layer.is_some()).map_err(|error| Failed::from(&error))
    }
}

async fn fetch(
    images: Images,
    repository: Arc<dyn Repository>,
    wanted: Wanted,
    steps: watch::Sender<Step>,
) -> Fetched<()> {
    if images.has_layer(&wanted.diff_id).await? {
        return Ok(());
    }
    let places = Arc::clone(&images.inner.downloads.places);
    let place =
        places.acquire_owned().await.map_err(|_| Failed::new(Kind::Unavailable, "closed"))?;
    let (sender, receiver) = mpsc::channel(batch::WAITING);
    let landing = tokio::spawn(land(images, wanted.clone(), receiver));
    let arrived = transfer(&repository, &wanted, &sender, &steps).await;
    drop(sender);
    drop(place);
    if arrived.is_ok() {
        steps.send_replace(Step::Arrived);
    }
    let landed = match landing.await {
        Ok(landed) => landed.map_err(|error| Failed::from(&error)),
        Err(panic) => Err(Failed::new(Kind::Internal, panic.to_string())),
    };
    // Why the bytes ended explains why they are too few.
    arrived.and(landed)
}

async fn transfer(
    repository: &Arc<dyn Repository>,
    wanted: &Wanted,
    sender: &mpsc::Sender<Vec<Bytes>>,
    steps: &watch::Sender<Step>,
) -> Fetched<()> {
    steps.send_replace(Step::Downloading(0));
    let told = steps.clone();
    let waiting = Arc::new(move |seconds| {
        told.send_replace(Step::Retrying(seconds));
    });
    let mut content = repository.blob(&wanted.blob, waiting);
    let (mut got, mut told) = (0, 0);
    let mut batch = Batch::default();
    while let Some(part) = content.next().await {
        let part = part.map_err(Failed::from_io)?;
        got += part.len() as u64;
        // Whoever does not take it has failed, and says why.
        if let Some(full) = batch.add(part)
            && sender.send(full).await.is_err()
        {
            return Ok(());
        }
        if got - told >= LINE || got == wanted.blob.size {
            steps.send_replace(Step::Downloading(got));
            told = got;
        }
    }
    drop(sender.send(batch.take()).await);
    Ok(())
}

/// Unpacks what arrives. Goes on to its end when the download is given up.
async fn land(
    images: Images,
    wanted: Wanted,
    mut batches: mpsc::Receiver<Vec<Bytes>>,
) -> Result<()> {
    let store = images.inner.store.clone();
    let Descriptor { digest, size, .. } = wanted.blob;
    let expected = ExpectedLayer { blob: digest, size, diff_id: wanted.diff_id.clone() };
    blocking(move || {
        let parts = std::iter::from_fn(move || batches.blocking_recv()).flatten().map(Ok);
        store.receive_layer(&expected, parts)
    })
    .await?;
    // The pull may have ended just now, and has then not seen this layer.
    if !images.state().pins.contains_key(&wanted.diff_id) {
        images.sweep(&[wanted.diff_id]).await;
    }
    Ok(())
}

impl Failed {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    fn from_io(error: std::io::Error) -> Self {
        let text = error.to_string();
        match error.into_inner().map(|inner| inner.downcast::<Error>()) {
            Some(Ok(error)) => Self::from(&*error),
            _ => Self::new(Kind::Internal, text),
        }
    }
}

impl From<&Error> for Failed {
    fn from(error: &Error) -> Self {
        Self::new(error.kind(), error.with_causes())
    }
}
