//! A container's files as its processes see them, for the daemon: its root, volumes and binds, in
//! a mount namespace that no process is in.
//!
//! **Invariant:** the namespace lives by descriptors alone, so it is gone with the last of them,
//! however the daemon ends; and a container's layers are mounted by one file system at a time,
//! because the kernel does not say what two on the same upper directory do.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use engine::error::{Error, Result};
use engine::ports::{ContainerFiles, FilesSpec, RootFilesystem};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MoveMountFlags, move_mount};

use crate::plan::MountPlan;
use crate::{attach, beneath, identity, images, overlay, rootfs};

/// A view that is open.
#[derive(Debug)]
pub(crate) struct View {
    root: OwnedFd,
    namespace: OwnedFd,
}

impl ContainerFiles for View {
    fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    fn identity(&self, user: &str) -> Result<(u32, u32)> {
        identity::resolve(self.root.as_fd(), user, &[])
            .map(|identity| (identity.uid, identity.gid))
            .map_err(|error| Error::invalid(error.to_string()))
    }
}

/// The views that are open, by container. All of one container's users share one.
#[derive(Debug, Default)]
pub(crate) struct Views(Mutex<BTreeMap<String, Arc<Slot>>>);

/// Held while a container's layers are being mounted.
type Slot = Mutex<Weak<View>>;

impl Views {
    /// Opens a container's files. Blocks.
    pub(crate) fn open(&self, spec: FilesSpec) -> io::Result<Arc<View>> {
        let slot = self.slot(&spec.id);
        let mut slot = lock(&slot);
        if let Some(view) = slot.upgrade() {
            return Ok(view);
        }
        let view = Arc::new(apart(move || build(&spec))?);
        *slot = Arc::downgrade(&view);
        Ok(view)
    }

    /// Mounts a container's layers where its processes will have them: those of a view, if one
    /// is open. Blocks.
    pub(crate) fn mount_root(&self, container: &str, root: &RootFilesystem) -> io::Result<()> {
        let slot = self.slot(container);
        let slot = lock(&slot);
        let Some(view) = slot.upgrade() else { return overlay::mount(root) };
        let copy = apart(move || view.copy_root())?;
        overlay::make_place(&root.merged)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        Ok(move_mount(&copy, "", CWD, &root.merged, flags)?)
    }

    /// As [`Views::mount_root`], for a container whose users are others in the guest: what a view
    /// has mounted shows other owners, so it has to be closed first.
    pub(crate) fn mount_mapped_root(
        &self,
        container: &str,
        mount: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let slot = self.slot(container);
        let slot = lock(&slot);
        match slot.upgrade() {
            None => mount(),
            Some(_) => Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "files of the container are being copied, try again afterwards",
            )),
        }
    }

    fn slot(&self, container: &str) -> Arc<Slot> {
        let mut slots = lock(&self.0);
        slots.retain(|_, slot| Arc::strong_count(slot) > 1 || lock(slot).strong_count() > 0);
        Arc::clone(slots.entry(container.to_owned()).or_default())
    }
}

impl View {
    /// The mount of the layers once more, to be attached elsewhere.
    fn copy_root(&self) -> io::Result<OwnedFd> {
        // A thread that shares its working directory cannot change namespaces.
        unshare(CloneFlags::CLONE_FS)?;
        setns(&self.namespace, CloneFlags::CLONE_NEWNS)?;
        attach::copy(self.root.as_fd())
    }
}

/// Runs something on a thread of its own, which ends with it.
fn apart<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    std::thread::Builder::new()
        .name("view".to_owned())
        .spawn(work)?
        .join()
        .map_err(|_| io::Error::other("a thread was lost"))?
}

fn build(spec: &FilesSpec) -> io::Result<View> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let nothing = None::<&str>;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)?;
    let namespace = rustix::fs::open(
        "/proc/thread-self/ns/mnt",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    if !overlay::is_mounted(&spec.root.merged) {
        overlay::mount(&spec.root)?;
    }
    let root = beneath::open_root(&spec.root.merged)?;
    let unmounted = spec.images.iter().filter(|image| !overlay::is_mounted(&image.place));
    images::mount(&unmounted.cloned().collect::<Vec<_>>())?;
    for mount in &spec.mounts {
        bind(&root, mount)?;
    }
    // The guest's own mounts, and those of other containers, are not kept alive by this.
    rootfs::enter(&root)?;
    Ok(View { root: beneath::open_root(Path::new("/"))?, namespace })
}

fn bind(root: &OwnedFd, mount: &engine::ports::FilesMount) -> io::Result<()> {
    if !mount.required && !Path::new(&mount.source).exists() {
        return Ok(());
    }
    let mode = if mount.read_only { "rro" } else { "rw" };
    let plan = MountPlan {
        kind: "bind".to_owned(),
        source: mount.source.clone(),
        destination: mount.destination.clone(),
        options: ["rbind", "rprivate", mode].map(String::from).to_vec(),
        subpath: mount.subpath.clone(),
        mapped: false,
    };
    rootfs::place(root, &plan, None).map_err(|error| {
        let text = format!("cannot mount {} at {}: {error}", mount.source, mount.destination);
        io::Error::new(error.kind(), text)
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
