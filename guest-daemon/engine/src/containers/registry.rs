//! Which containers there are: ids, names and how to reach each. Data only, so that images,
//! volumes and networks can see who uses them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use engine_store::objects::MountRecord;
use tokio::sync::{mpsc, watch};

use super::links;
use super::task::Command;
use super::types::{Container, Status};
use crate::error::{Error, Result};
use crate::logs::Hub;
use crate::ports::{Endpoint, ProcessId};

/// What a container's task published last.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub container: Container,
    /// How often it has ended.
    pub exits: u64,
    /// It is gone.
    pub removed: bool,
    /// How often it could not be taken away.
    pub failed_removals: u64,
    pub process: Option<ProcessId>,
    pub endpoint: Option<Endpoint>,
    /// What it can be reached by for `--network container:`.
    pub namespace: Option<PathBuf>,
    /// With all that inspect does not show.
    pub mounts: Vec<MountRecord>,
    /// diff ids of its own image.
    pub layers: Vec<String>,
}

impl Snapshot {
    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// diff ids of its own image and of those that are mounted into it.
    pub(crate) fn all_layers(&self) -> impl Iterator<Item = &String> {
        self.layers.iter().chain(self.mounts.iter().flat_map(|mount| &mount.layers))
    }

    /// Whether an image is mounted into it.
    pub(crate) fn mounts_image(&self, id: &str) -> bool {
        self.mounts.iter().any(|mount| mount.kind == "image" && mount.image == id)
    }
}

/// How to reach a container.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub id: String,
    pub commands: mpsc::Sender<Command>,
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    pub hub: Arc<Hub>,
}

impl Handle {
    pub(crate) fn look(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    inner: Arc<RwLock<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: BTreeMap<String, Handle>,
    /// Also of containers that are being made.
    by_name: BTreeMap<String, String>,
}

impl Registry {
    /// By id, name (with or without a slash), name that another gave it (`web/db`) or unique prefix
    /// of an id, in this order.
    pub(crate) fn find(&self, reference: &str) -> Result<Handle> {
        if reference.is_empty() {
            return Err(Error::invalid("no container name or ID supplied"));
        }
        let inner = self.read();
        if let Some(handle) = inner.by_id.get(reference) {
            return Ok(handle.clone());
        }
        let name = reference.strip_prefix('/').unwrap_or(reference);
        if let Some(handle) = inner.by_name.get(name).and_then(|id| inner.by_id.get(id)) {
            return Ok(handle.clone());
        }
        if let Some(handle) = inner.linked(name) {
            return Ok(handle.clone());
        }
        let mut found = inner
            .by_id
            .range(reference.to_owned()..)
            .take_while(|(id, _)| id.starts_with(reference))
            .map(|(_, handle)| handle);
        match (found.next(), found.next()) {
            (Some(handle), None) => Ok(handle.clone()),
            (Some(_), Some(_)) => {
                Err(Error::invalid(format!("multiple IDs found with provided prefix: {reference}")))
            }
            (None, _) => Err(Error::not_found(format!("No such container: {reference}"))),
        }
    }

    /// The id that begins like this, if there is exactly one.
    pub(crate) fn find_id(&self, prefix: &str) -> Option<String> {
        if prefix.is_empty() {
            return None;
        }
        let inner = self.read();
        let mut found =
            inner.by_id.range(prefix.to_owned()..).take_while(|(id, _)| id.starts_with(prefix));
        let (id, _) = found.next()?;
        (id == prefix || found.next().is_none()).then(|| id.clone())
    }

    pub(crate) fn all(&self) -> Vec<Handle> {
        self.read().by_id.values().cloned().collect()
    }

    pub(crate) fn snapshots(&self) -> Vec<Arc<Snapshot>> {
        self.all().iter().map(Handle::look).filter(|snapshot| !snapshot.removed).collect()
    }

    /// Takes a name for a container that is about to exist.
    pub(crate) fn reserve(&self, name: &str, id: &str) -> Result<()> {
        let mut inner = self.write();
        if let Some(owner) = inner.by_name.get(name) {
            return Err(Error::conflict(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \
                 \"{owner}\". You have to remove (or rename) that container to be able to reuse \
                 that name."
            )));
        }
        inner.by_name.insert(name.to_owned(), id.to_owned());
        Ok(())
    }

    pub(crate) fn release(&self, name: &str) {
        self.write().by_name.remove(name);
    }

    pub(crate) fn insert(&self, handle: Handle) {
        self.write().by_id.insert(handle.id.clone(), handle);
    }

    pub(crate) fn remove(&self, id: &str, name: &str) {
        let mut inner = self.write();
        inner.by_id.remove(id);
        inner.by_name.remove(name);
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What `web` knows as `db`.
    fn linked(&self, name: &str) -> Option<&Handle> {
        let (owner, alias) = name.split_once('/')?;
        let owner = self.by_id.get(self.by_name.get(owner)?)?.look();
        let target = links::target(&owner.container.host, alias)?;
        self.by_id.get(self.by_name.get(&target)?)
    }
}

/// Containers in a state, for `docker info`.
pub(crate) fn count(snapshots: &[Arc<Snapshot>], status: Status) -> usize {
    snapshots.iter().filter(|snapshot| snapshot.container.state.status == status).count()
}
