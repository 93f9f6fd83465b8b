//! `docker cp`: a container's files in and out, through its volumes and binds.

use std::io;
use std::path::Path;
use std::sync::Arc;

use engine_store::Layout;
use engine_store::files::{Destination, Extract, Packing, PathStat};

use super::registry::Snapshot;
use super::types::{Container, ExtractArchive};
use super::{Containers, attributes_of, image_mounts, mounts};
use crate::blocking::blocking;
use crate::error::{Error, Kind, Result};
use crate::ids;
use crate::images::ByteStream;
use crate::ports::{ContainerFiles, FilesMount, FilesSpec};
use crate::receiving::reader;
use crate::sending::written;

impl Containers {
    /// What is at a path of a container.
    pub async fn stat_path(&self, reference: &str, path: &str) -> Result<PathStat> {
        let (_, files) = self.open_files(reference).await?;
        let asked = path.to_owned();
        on_files(reference, path, move || PathStat::of(files.root(), &asked)).await
    }

    /// What is at a path of a container, and a tar stream of it.
    pub async fn archive(&self, reference: &str, path: &str) -> Result<(PathStat, ByteStream)> {
        let (container, files) = self.open_files(reference).await?;
        let (opened, asked) = (Arc::clone(&files), path.to_owned());
        let packing =
            on_files(reference, path, move || Packing::open(opened.root(), &asked)).await?;
        let stat = packing.stat().clone();
        let stream = written(move |writer| {
            let packed = packing.write(writer);
            drop(files);
            packed.map_err(|error| Error::internal("cannot pack the files", error))
        });
        self.tell(&container, "archive-path");
        Ok((stat, stream))
    }

    /// Unpacks a tar stream, plain or compressed, in a folder of a container.
    pub async fn extract(
        &self,
        reference: &str,
        request: ExtractArchive,
        archive: ByteStream,
    ) -> Result<()> {
        let (container, files) = self.open_files(reference).await?;
        let (opened, path) = (Arc::clone(&files), request.path.clone());
        let destination =
            on_files(reference, &request.path, move || Destination::open(opened.root(), &path))
                .await?
                .ok_or_else(|| Error::invalid("extraction point is not a directory"))?;
        check_writable(&container, destination.path())?;
        let user = container.config.user.clone();
        let owner = match request.copy_owner && !user.is_empty() {
            true => {
                let files = Arc::clone(&files);
                let looked = tokio::task::spawn_blocking(move || files.identity(&user)).await;
                Some(looked.map_err(|lost| Error::internal("cannot look up the user", lost))??)
            }
            false => None,
        };
        let how = Extract { keep_kinds: request.keep_kinds, owner };
        let reader = reader(archive);
        on_files(reference, &request.path, move || {
            let extracted = destination.extract(reader, how);
            drop(files);
            extracted
        })
        .await?;
        self.tell(&container, "extract-to-dir");
        Ok(())
    }

    async fn open_files(&self, reference: &str) -> Result<(Container, Arc<dyn ContainerFiles>)> {
        let found = self.core.registry.find(reference)?.look();
        let user = ids::new_id();
        let opened = self.open_mounted(&found, &user).await;
        // What was opened keeps its mounts itself.
        self.core.volumes.let_go(&user).await;
        Ok((found.container.clone(), opened?))
    }

    async fn open_mounted(&self, found: &Snapshot, user: &str) -> Result<Arc<dyn ContainerFiles>> {
        let container = &found.container;
        for mount in container.mounts.iter().filter(|mount| mount.kind == "volume") {
            // One that was removed by force comes back empty.
            self.core.volumes.for_container(&mount.name, None).await?;
            self.core.volumes.mount(&mount.name, user).await?;
        }
        let (store, missing) = (self.core.store.clone(), made_binds(container));
        blocking(move || missing.iter().try_for_each(|path| store.make_guest_folder(path))).await?;
        self.core.runtime.open_files(spec(found, self.core.store.layout())).await
    }

    pub(super) fn tell(&self, container: &Container, action: &str) {
        let attributes = attributes_of(container);
        self.core.events.publish("container", action, &container.id, attributes);
    }
}

/// Sources of `-v`, which are made where they are missing; those of `--mount` are not.
fn made_binds(container: &Container) -> Vec<String> {
    let of_mount = |place: &str| {
        container.host.mounts.iter().any(|request| mounts::clean(&request.target) == place)
    };
    container
        .mounts
        .iter()
        .filter(|mount| mount.kind == "bind" && !of_mount(&mount.destination))
        .map(|mount| mount.source.clone())
        .collect()
}

/// A tmpfs belongs to a run of the container, so here is what it covers.
fn spec(found: &Snapshot, layout: &Layout) -> FilesSpec {
    let container = &found.container;
    let mut all: Vec<FilesMount> = container
        .mounts
        .iter()
        .zip(&found.mounts)
        .filter(|(mount, _)| mount.kind != "tmpfs")
        .map(|(mount, record)| FilesMount {
            source: mount.source.clone(),
            destination: mount.destination.clone(),
            subpath: record.subpath.clone(),
            read_only: !mount.read_write,
            required: true,
        })
        .collect();
    for (name, path) in [
        ("resolv.conf", &container.resolv_conf_path),
        ("hostname", &container.hostname_path),
        ("hosts", &container.hosts_path),
    ] {
        let destination = format!("/etc/{name}");
        if !all.iter().any(|mount| mount.destination == destination) {
            all.push(FilesMount {
                source: path.clone(),
                destination,
                subpath: String::new(),
                read_only: container.host.readonly_rootfs,
                // They are made at the first start.
                required: false,
            });
        }
    }
    // Those that are nearer to the root first, so that none hides another.
    all.sort_by_key(|mount| mount.destination.matches('/').count());
    FilesSpec {
        id: container.id.clone(),
        root: container.root.clone(),
        mounts: all,
        images: image_mounts::of(&container.id, &found.mounts, layout),
    }
}

fn check_writable(container: &Container, path: &Path) -> Result<()> {
    let around = container
        .mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.destination))
        .max_by_key(|mount| mount.destination.len());
    match around {
        Some(mount) if mount.read_write => Ok(()),
        Some(_) => Err(Error::invalid("mounted volume is marked read-only")),
        None if container.host.readonly_rootfs => {
            Err(Error::invalid("container rootfs is marked read-only"))
        }
        None => Ok(()),
    }
}

/// Does something with files where it may block, and tells its failure in dockerd's words.
async fn on_files<T: Send + 'static>(
    reference: &str,
    path: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Err(Error::not_found(
            format!("Could not find the file {path} in container {reference}"),
        )),
        Ok(Err(error)) => Err(Error::new(Kind::Internal, error.to_string())),
        Err(lost) => Err(Error::internal("a step with files did not complete", lost)),
    }
}
