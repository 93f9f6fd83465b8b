//! Opening the data root: what is half-made is removed, what is damaged is set aside.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;

use crate::database::{Change, Damaged, Metadata, Table};
use crate::error::{Result, StoreError};
use crate::layout::Layout;
use crate::objects::{ContainerRecord, ImageRecord, LayerRecord, ReferenceRecord};
use crate::{atomic, trees};

/// The data root, opened by one process at a time. Cheap to clone; every method may block.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    layout: Layout,
    metadata: Metadata,
    next_temporary: AtomicU64,
    /// Held while a layer becomes visible or goes.
    layers: Mutex<()>,
    /// Tells the temporary files of this opening from older ones, in nanoseconds since 1970.
    opened: i128,
}

impl Store {
    /// Opens the data root, making it where it is missing. Damage never stops the opening: a
    /// metadata file that cannot be read is moved to `quarantine/` and a new one begun.
    pub fn open(root: &Path) -> Result<Self> {
        let layout = Layout::new(root);
        for folder in [
            root.to_owned(),
            layout.blobs(),
            layout.layers(),
            layout.containers(),
            layout.volumes(),
            layout.quarantine(),
        ] {
            make_folder(&folder)?;
        }
        fs::set_permissions(root, fs::Permissions::from_mode(0o700))
            .map_err(StoreError::io(format!("protect {}", root.display())))?;
        empty_temporary(&layout)?;
        let (metadata, fresh) = open_metadata(&layout)?;
        let store = Self {
            inner: Arc::new(Inner {
                layout,
                metadata,
                next_temporary: AtomicU64::new(0),
                layers: Mutex::new(()),
                opened: jiff::Timestamp::now().as_nanosecond(),
            }),
        };
        store.make_skeleton()?;
        if let Err(error) = store.finish_removals() {
            tracing::error!(%error, "volumes that were removed take up room");
        }
        if fresh {
            tracing::warn!("the metadata is new; layers and volumes from before are kept");
        } else if let Err(error) = store.collect_garbage() {
            // Room is lost, nothing else; the next opening tries again.
            tracing::error!(%error, "leftovers stay");
        }
        Ok(store)
    }

    pub fn layout(&self) -> &Layout {
        &self.inner.layout
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.inner.metadata
    }

    pub(crate) fn layers_change(&self) -> MutexGuard<'_, ()> {
        self.inner.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new path under `tmp/`.
    pub(crate) fn temporary(&self, what: &str) -> std::path::PathBuf {
        let number = self.inner.next_temporary.fetch_add(1, Ordering::Relaxed);
        self.layout().temporary().join(format!("{what}-{:x}-{number}", self.inner.opened))
    }

    /// Moves a folder out of sight, then removes it; a crash in between loses only time.
    pub(crate) fn discard(&self, path: &Path) -> Result<()> {
        let grave = self.temporary("discarded");
        match fs::rename(path, &grave) {
            Ok(()) => {
                // Out of sight is what counts; the rest goes at the next start at the latest.
                if let Err(error) = trees::remove(&grave) {
                    tracing::warn!(%error, path = %grave.display(), "a leftover stays");
                }
                Ok(())
            }
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(source) => {
                Err(StoreError::Io { doing: format!("remove {}", path.display()), source })
            }
        }
    }

    pub fn containers(&self) -> Result<Vec<ContainerRecord>> {
        self.readable(Table::Containers)
    }

    pub fn put_container(&self, record: &ContainerRecord) -> Result<()> {
        self.metadata().apply(&[Change::put(Table::Containers, &record.id, record)?])
    }

    pub fn images(&self) -> Result<Vec<ImageRecord>> {
        self.readable(Table::Images)
    }

    pub fn layers(&self) -> Result<Vec<LayerRecord>> {
        self.readable(Table::Layers)
    }

    /// Canonical names and what they stand for.
    pub fn references(&self) -> Result<Vec<(String, ReferenceRecord)>> {
        let (good, damaged) = self.metadata().all(Table::References)?;
        self.set_aside(damaged);
        Ok(good)
    }

    /// A text that was kept under a name, such as the engine's id.
    pub fn fact(&self, name: &str) -> Result<Option<String>> {
        self.metadata().get(Table::Facts, name)
    }

    pub fn put_fact(&self, name: &str, value: &str) -> Result<()> {
        self.metadata().apply(&[Change::put(Table::Facts, name, &value)?])
    }

    pub(crate) fn readable<R: DeserializeOwned>(&self, table: Table) -> Result<Vec<R>> {
        let (good, damaged) = self.metadata().all(table)?;
        self.set_aside(damaged);
        Ok(good.into_iter().map(|(_, record)| record).collect())
    }

    fn set_aside(&self, damaged: Vec<Damaged>) {
        for record in damaged {
            let name = format!("{}-{}", record.table.name(), record.key.replace(['/', ':'], "_"));
            tracing::error!(record = name, "a record cannot be read and is set aside");
            let kept = atomic::write(&self.layout().quarantine().join(name), &record.bytes, 0o600);
            let removed = kept
                .and_then(|()| self.metadata().apply(&[Change::remove(record.table, &record.key)]));
            if let Err(error) = removed {
                // It is passed over now, and found again at the next start.
                tracing::error!(%error, "a record that cannot be read stays");
            }
        }
    }

    /// What a crash left: layers that nothing stands on, and layers, blobs and container folders
    /// that no record speaks of.
    fn collect_garbage(&self) -> Result<()> {
        let mut used: BTreeSet<String> =
            self.images()?.into_iter().flat_map(|image| image.layers).collect();
        let containers = self.containers()?;
        used.extend(containers.iter().flat_map(|container| container.all_layers().cloned()));
        let (layers, unused): (Vec<_>, Vec<_>) =
            self.layers()?.into_iter().partition(|layer| used.contains(&layer.diff_id));
        let unused: Vec<String> = unused.into_iter().map(|layer| layer.diff_id).collect();
        self.remove_layers(&unused)?;
        let with_blob = layers.iter().filter(|layer| layer.has_blob());
        let mut blobs: BTreeSet<String> =
            with_blob.map(|layer| layer.blob.replace("sha256:", "")).collect();
        blobs.extend(self.images()?.iter().map(|image| image.id.replace("sha256:", "")));
        let layers = layers.iter().map(|layer| layer.diff_id.replace("sha256:", "")).collect();
        let containers = containers.into_iter().map(|container| container.id).collect();
        self.discard_others(&self.layout().layers(), &layers)?;
        self.discard_others(&self.layout().containers(), &containers)?;
        self.discard_others(&self.layout().blobs(), &blobs)
    }

    fn discard_others(&self, folder: &Path, known: &BTreeSet<String>) -> Result<()> {
        let entries =
            fs::read_dir(folder).map_err(StoreError::io(format!("list {}", folder.display())))?;
        for entry in entries.filter_map(std::result::Result::ok) {
            let name = entry.file_name();
            if name.to_str().is_none_or(|name| !known.contains(name)) {
                tracing::info!(path = %entry.path().display(), "removing a leftover");
                if let Err(error) = self.discard(&entry.path()) {
                    tracing::warn!(%error, "a leftover stays");
                }
            }
        }
        Ok(())
    }
}

fn open_metadata(layout: &Layout) -> Result<(Metadata, bool)> {
    let path = layout.database();
    match readable(&path) {
        Ok(metadata) => Ok((metadata, false)),
        Err(error) if !is_damage(&error) => Err(error),
        Err(error) => {
            tracing::error!(%error, "the metadata cannot be read and is set aside");
            let mut place = layout.quarantine().join("metadata.redb");
            let mut number = 0;
            while place.exists() {
                number += 1;
                place = layout.quarantine().join(format!("metadata.redb.{number}"));
            }
            fs::rename(&path, &place)
                .map_err(StoreError::io(format!("set {} aside", path.display())))?;
            Ok((Metadata::open(&path)?, true))
        }
    }
}

/// redb may panic on pages that make no sense.
fn readable(path: &Path) -> Result<Metadata> {
    let opened = std::panic::catch_unwind(|| {
        let metadata = Metadata::open(path)?;
        metadata.check().map(|()| metadata)
    });
    opened.unwrap_or_else(|_| Err(StoreError::Invalid("the metadata makes no sense".into())))
}

/// Whether the file is at fault, and not a full disk or another process that has it open.
fn is_damage(error: &StoreError) -> bool {
    let StoreError::Database { source, .. } = error else { return true };
    match &**source {
        redb::Error::DatabaseAlreadyOpen => false,
        redb::Error::Io(error) => error.raw_os_error().is_none(),
        _ => true,
    }
}

fn empty_temporary(layout: &Layout) -> Result<()> {
    let temporary = layout.temporary();
    if temporary.exists()
        && let Err(error) = trees::remove(&temporary)
    {
        tracing::warn!(%error, "temporary files stay");
    }
    make_folder(&temporary)
}

fn make_folder(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(StoreError::io(format!("make {}", path.display())))
}
