//! The engine about itself.

mod disk_usage;

use std::sync::Arc;

pub use disk_usage::{ContainerUsage, DiskUsage, Measured, VolumeUsage};

use crate::containers::{Core, Status, count};
use crate::error::Result;
use crate::settings::Settings;

/// The service behind `docker info`.
#[derive(Clone, Debug)]
pub struct System {
    core: Core,
}

#[derive(Clone, Debug, Default)]
pub struct SystemInfo {
    /// Stays with the machine.
    pub id: String,
    pub containers: usize,
    pub running: usize,
    pub paused: usize,
    pub stopped: usize,
    pub images: usize,
    pub name: String,
    pub kernel_version: String,
    pub operating_system: String,
    pub architecture: String,
    pub cpus: usize,
    /// Bytes.
    pub memory: u64,
    pub root_dir: String,
    pub settings: Arc<Settings>,
    /// Nanoseconds since 1970.
    pub now: i128,
    pub open_files: usize,
    pub event_listeners: usize,
}

impl System {
    pub(crate) fn new(core: Core) -> Self {
        Self { core }
    }

    /// Nanoseconds since 1970.
    pub fn now(&self) -> i128 {
        self.core.clock.now()
    }

    pub fn info(&self) -> Result<SystemInfo> {
        let core = &self.core;
        let containers = core.registry.snapshots();
        let (running, paused) =
            (count(&containers, Status::Running), count(&containers, Status::Paused));
        let running = running + count(&containers, Status::Restarting);
        Ok(SystemInfo {
            id: core.host.id.clone(),
            containers: containers.len(),
            running,
            paused,
            stopped: containers.len() - running - paused,
            images: core.images.count(),
            name: core.host.name.clone(),
            kernel_version: core.host.kernel_version.clone(),
            operating_system: core.host.operating_system.clone(),
            architecture: core.host.architecture.clone(),
            cpus: core.host.cpus,
            memory: core.host.memory,
            root_dir: core.store.layout().root().to_string_lossy().into_owned(),
            settings: Arc::clone(&core.settings),
            now: core.clock.now(),
            open_files: core.store.open_files(),
            event_listeners: core.events.listeners(),
        })
    }
}
