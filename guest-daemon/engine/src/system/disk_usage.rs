//! `docker system df`: what takes how much of the disk.

use super::System;
use crate::blocking::blocking;
use crate::containers::Container;
use crate::error::Result;
use crate::images::{Image, ListImages};
use crate::volumes::Volume;

/// Which kinds of things are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    pub images: bool,
    pub containers: bool,
    pub volumes: bool,
}

/// What was not asked for is `None`.
#[derive(Clone, Debug, Default)]
pub struct DiskUsage {
    /// Bytes of all layers that images stand on, each counted once.
    pub layers: u64,
    pub images: Option<Vec<Image>>,
    pub containers: Option<Vec<ContainerUsage>>,
    pub volumes: Option<Vec<VolumeUsage>>,
}

#[derive(Clone, Debug)]
pub struct ContainerUsage {
    pub container: Container,
    /// Bytes written above the image.
    pub written: u64,
    /// Bytes altogether.
    pub whole: u64,
}

#[derive(Clone, Debug)]
pub struct VolumeUsage {
    pub volume: Volume,
    /// `None` when it could not be measured.
    pub size: Option<u64>,
    /// Containers that use it.
    pub users: usize,
}

impl System {
    pub async fn disk_usage(&self, measured: Measured) -> Result<DiskUsage> {
        let mut usage = DiskUsage::default();
        if measured.images {
            let all = ListImages { shared_size: true, ..ListImages::default() };
            usage.images = Some(self.core.images.list(&all)?);
            usage.layers = self.core.images.all_layers_size();
        }
        if measured.containers {
            usage.containers = Some(self.containers_usage().await);
        }
        if measured.volumes {
            usage.volumes = Some(self.core.volumes.usage().await);
        }
        Ok(usage)
    }

    async fn containers_usage(&self) -> Vec<ContainerUsage> {
        let mut snapshots = self.core.registry.snapshots();
        snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.container.created));
        let mut all = Vec::with_capacity(snapshots.len());
        for snapshot in snapshots {
            let container = snapshot.container.clone();
            let (store, id) = (self.core.store.clone(), container.id.clone());
            // One that is removed meanwhile has no size.
            let written = blocking(move || store.container_size(&id)).await.unwrap_or(0);
            let whole = written + self.core.images.layers_size(&snapshot.layers);
            all.push(ContainerUsage { container, written, whole });
        }
        all
    }
}
