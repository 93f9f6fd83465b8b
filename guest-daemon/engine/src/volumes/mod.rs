//! Volumes of the `local` driver.

mod mounting;
mod options;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use engine_store::Store;
use engine_store::objects::{VERSION, VolumeRecord};

use crate::blocking::blocking;
use crate::config::MountRequest;
use crate::containers::{Registry, check_volume_name};
use crate::error::{Error, Result};
use crate::events::Events;
use crate::filters;
use crate::ids;
use crate::ports::Runtime;
use crate::system::VolumeUsage;
use crate::time::{Clock, to_stored};

const LIST_FILTERS: [&str; 4] = ["dangling", "driver", "label", "name"];
const PRUNE_FILTERS: [&str; 3] = ["all", "label", "label!"];

/// The label that marks a volume nobody named.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// The service over volumes.
#[derive(Clone, Debug)]
pub struct Volumes {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    registry: Registry,
    events: Events,
    clock: Arc<dyn Clock>,
    runtime: Arc<dyn Runtime>,
    all: RwLock<BTreeMap<String, VolumeRecord>>,
    uses: mounting::Uses,
    /// Held while volumes come and go.
    change: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volume {
    pub name: String,
    pub driver: String,
    pub mountpoint: String,
    /// Nanoseconds since 1970.
    pub created: i128,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
    pub anonymous: bool,
}

#[derive(Clone, Debug, Default)]
pub struct CreateVolume {
    /// Empty: 64 hex digits are made up.
    pub name: String,
    pub driver: String,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
}

impl Volumes {
    pub(crate) async fn open(
        store: Store,
        registry: Registry,
        events: Events,
        clock: Arc<dyn Clock>,
        runtime: Arc<dyn Runtime>,
    ) -> Result<Self> {
        let reading = store.clone();
        let all = blocking(move || reading.volumes()).await?;
        let all = all.into_iter().map(|volume| (volume.name.clone(), volume)).collect();
        let (all, change) = (RwLock::new(all), tokio::sync::Mutex::new(()));
        let uses = mounting::Uses::default();
        let inner = Inner { store, registry, events, clock, runtime, all, uses, change };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Creating one that exists returns it as it is.
    pub async fn create(&self, request: CreateVolume) -> Result<Volume> {
        check_driver(&request.name, &request.driver)?;
        let (volume, _) = self.make(request.name, request.labels, request.options).await?;
        Ok(self.show(&volume))
    }

    pub fn list(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Vec<Volume>> {
        filters::check(filters, &LIST_FILTERS)?;
        let dangling = filters::truth(filters, "dangling")?;
        let used = self.users();
        let all = self.read();
        Ok(all
            .values()
            .filter(|volume| {
                filters::any(filters, "name", |name| volume.name.contains(name))
                    && filters::any(filters, "driver", |driver| driver == "local")
                    && filters::labels(filters, "label", &volume.labels)
                    && dangling.is_none_or(|dangling| dangling != used.contains_key(&volume.name))
            })
            .map(|volume| self.show(volume))
            .collect())
    }

    pub fn inspect(&self, name: &str) -> Result<Volume> {
        let all = self.read();
        all.get(name).map(|volume| self.show(volume)).ok_or_else(|| missing(name))
    }

    pub async fn remove(&self, name: &str, force: bool) -> Result<()> {
        let change = self.inner.change.lock().await;
        if !self.read().contains_key(name) {
            return if force { Ok(()) } else { Err(missing(name)) };
        }
        if let Some(containers) = self.users().get(name) {
            return Err(Error::conflict(format!(
                "remove {name}: volume is in use - [{}]",
                containers.join(", ")
            )));
        }
        // What it is elsewhere must not be removed with it.
        self.unmount(name).await?;
        let (store, gone) = (self.inner.store.clone(), name.to_owned());
        blocking(move || store.remove_volume(&gone)).await?;
        self.write().remove(name);
        drop(change);
        self.event("destroy", name);
        Ok(())
    }

    /// The names removed and the bytes given back. Only anonymous ones unless `all`.
    pub async fn prune(
        &self,
        filters: &BTreeMap<String, Vec<String>>,
    ) -> Result<(Vec<String>, u64)> {
        filters::check(filters, &PRUNE_FILTERS)?;
        let all = filters::truth(filters, "all")?.unwrap_or(false);
        let used = self.users();
        let candidates: Vec<String> = self
            .read()
            .values()
            .filter(|volume| {
                (all || volume.anonymous)
                    && !used.contains_key(&volume.name)
                    && filters::labels_to_prune(filters, &volume.labels)
            })
            .map(|volume| volume.name.clone())
            .collect();
        let (mut removed, mut bytes) = (Vec::new(), 0);
        for name in candidates {
            let (store, measured) = (self.inner.store.clone(), name.clone());
            let size = blocking(move || store.volume_size(&measured)).await.unwrap_or(0);
            // A container may have taken it in the meantime.
            if self.remove(&name, false).await.is_ok() {
                bytes += size;
                removed.push(name);
            }
        }
        let attributes = BTreeMap::from([("reclaimed".to_owned(), bytes.to_string())]);
        self.inner.events.publish("volume", "prune", "", attributes);
        Ok((removed, bytes))
    }

    /// The volume of this name for a container, made when it is missing; without a name a new
    /// one. `asked` says what a new one is to be like. Tells whether it is new.
    pub(crate) async fn for_container(
        &self,
        name: &str,
        asked: Option<&MountRequest>,
    ) -> Result<(String, bool)> {
        let labels = asked.map(|asked| asked.volume_labels.clone()).unwrap_or_default();
        let options = asked.map(|asked| asked.volume_driver_options.clone()).unwrap_or_default();
        let (volume, new) = self.make(name.to_owned(), labels, options).await?;
        Ok((volume.name, new))
    }

    /// Every volume with its size and the number of its users. One that is kept somewhere else
    /// is not on this disk.
    pub(crate) async fn usage(&self) -> Vec<VolumeUsage> {
        let users = self.users();
        let all: Vec<Volume> = self.read().values().map(|volume| self.show(volume)).collect();
        let mut measured = Vec::with_capacity(all.len());
        for volume in all.into_iter().filter(|volume| volume.options.is_empty()) {
            let (store, name) = (self.inner.store.clone(), volume.name.clone());
            let size = blocking(move || store.volume_size(&name)).await.ok();
            let users = users.get(&volume.name).map_or(0, Vec::len);
            measured.push(VolumeUsage { volume, size, users });
        }
        measured
    }

    /// Fills an empty volume with what the image has at the path.
    pub(crate) async fn copy_up(&self, name: &str, layers: &[PathBuf], path: &Path) -> Result<()> {
        let (store, copied) = (self.inner.store.clone(), name.to_owned());
        let (layers, path) = (layers.to_vec(), path.to_owned());
        let user = ids::new_id();
        if self.is_mounted_when_used(name) {
            let (store, layers, path) = (store.clone(), layers.clone(), path.clone());
            if !blocking(move || store.has_folder(&layers, &path)).await? {
                return Ok(());
            }
            self.mount(name, &user).await?;
        }
        let filled = blocking(move || store.copy_into_volume(&copied, &layers, &path)).await;
        self.let_go(&user).await;
        filled
    }

    async fn make(
        &self,
        name: String,
        mut labels: BTreeMap<String, String>,
        options: BTreeMap<String, String>,
    ) -> Result<(VolumeRecord, bool)> {
        let anonymous = name.is_empty();
        let name = if anonymous { ids::new_id() } else { name };
        if name.len() == 1 {
            return Err(Error::invalid(format!(
                "create {name}: volume name is too short, names should be at least two \
                 alphanumeric characters"
            )));
        }
        check_volume_name(&name)?;
        let change = self.inner.change.lock().await;
        if let Some(volume) = self.read().get(&name) {
            return Ok((volume.clone(), false));
        }
        options::check(&options)
            .map_err(|text| Error::invalid(format!("create {name}: {text}")))?;
        if anonymous {
            labels.insert(ANONYMOUS.to_owned(), String::new());
        }
        let volume = VolumeRecord {
            version: VERSION,
            name: name.clone(),
            created: to_stored(self.inner.clock.now()),
            labels,
            options,
            anonymous,
            going: false,
        };
        let (store, record) = (self.inner.store.clone(), volume.clone());
        blocking(move || store.create_volume(&record)).await?;
        self.write().insert(name.clone(), volume.clone());
        drop(change);
        self.event("create", &name);
        Ok((volume, true))
    }

    /// Containers by the volume that they use.
    fn users(&self) -> BTreeMap<String, Vec<String>> {
        let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for snapshot in self.inner.registry.snapshots() {
            for mount in snapshot.container.mounts.iter().filter(|mount| mount.kind == "volume") {
                let id = snapshot.container.id.clone();
                users.entry(mount.name.clone()).or_default().push(id);
            }
        }
        users
    }

    fn show(&self, record: &VolumeRecord) -> Volume {
        let mountpoint = self.inner.store.layout().volume_data(&record.name);
        Volume {
            name: record.name.clone(),
            driver: "local".to_owned(),
            mountpoint: mountpoint.to_string_lossy().into_owned(),
            created: i128::from(record.created),
            labels: record.labels.clone(),
            options: record.options.clone(),
            anonymous: record.anonymous,
        }
    }

    fn event(&self, action: &str, name: &str) {
        let attributes = BTreeMap::from([("driver".to_owned(), "local".to_owned())]);
        self.inner.events.publish("volume", action, name, attributes);
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, VolumeRecord>> {
        self.inner.all.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, VolumeRecord>> {
        self.inner.all.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("all", &self.all).finish_non_exhaustive()
    }
}

fn missing(name: &str) -> Error {
    Error::not_found(format!("get {name}: no such volume"))
}

/// Whether a volume can be of this driver; it gets a name in errors.
pub(crate) fn check_driver(name: &str, driver: &str) -> Result<()> {
    if matches!(driver, "" | "local") {
        return Ok(());
    }
    let name = if name.is_empty() { ids::new_id() } else { name.to_owned() };
    Err(Error::not_found(format!(
        "create {name}: error looking up volume plugin {driver}: plugin \"{driver}\" not found"
    )))
}

#[cfg(test)]
mod tests;
