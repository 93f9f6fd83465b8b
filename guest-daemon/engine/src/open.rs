//! How an engine comes into being.

use std::path::PathBuf;
use std::sync::Arc;

use engine_store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Engine;
use crate::blocking::blocking;
use crate::containers::{Containers, Core, Registry};
use crate::error::Result;
use crate::events::Events;
use crate::exec::{Execs, Table};
use crate::images::{Images, Surroundings};
use crate::networks::Networks;
use crate::ports::{self, Network, Runtime, Syslog};
use crate::settings::Settings;
use crate::system::System;
use crate::time::Clock;
use crate::volumes::Volumes;

/// All that an engine is made from.
pub struct EngineConfig {
    /// On the data disk; `/var/lib/docker`.
    pub data_root: PathBuf,
    /// In memory, gone after a reboot but not after a restart of the daemon.
    pub run_root: PathBuf,
    pub runtime: Arc<dyn Runtime>,
    pub network: Arc<dyn Network>,
    pub syslog: Arc<dyn Syslog>,
    pub remote: Arc<dyn ports::Registry>,
    pub host: HostFacts,
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
}

/// What the machine is; shown by `docker info`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    pub name: String,
    /// Of this program; images that are made here tell it.
    pub version: String,
    /// A UUID, of this engine and no other.
    pub id: String,
    pub kernel_version: String,
    pub operating_system: String,
    /// As the kernel says it, `x86_64`.
    pub architecture: String,
    /// Of an x86-64 CPU, `v3`; empty when there is no such thing.
    pub cpu_level: String,
    pub cpus: usize,
    /// Bytes.
    pub memory: u64,
}

impl std::fmt::Debug for EngineConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineConfig").field("data_root", &self.data_root).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the store, takes over what an earlier daemon left running, and is ready.
    pub async fn open(config: EngineConfig) -> Result<Arc<Self>> {
        let EngineConfig {
            data_root,
            run_root,
            runtime,
            network,
            syslog,
            remote,
            host,
            settings,
            clock,
        } = config;
        let run = run_root.clone();
        let store = blocking(move || {
            Store::make_run_root(&run)?;
            Store::open(&data_root)
        })
        .await?;
        let events = Events::new(Arc::clone(&clock));
        let registry = Registry::default();
        let architecture = docker_architecture(&host.architecture).to_owned();
        let images = Images::open(Surroundings {
            store: store.clone(),
            registry: registry.clone(),
            remote,
            transfers: settings.transfers,
            events: events.clone(),
            clock: Arc::clone(&clock),
            architecture,
            version: host.version.clone(),
        })
        .await?;
        let volumes = Volumes::open(
            store.clone(),
            registry.clone(),
            events.clone(),
            Arc::clone(&clock),
            Arc::clone(&runtime),
        )
        .await?;
        let networks =
            Networks::open(store.clone(), registry.clone(), Arc::clone(&network), clock.now())
                .await?;
        let core = Core {
            store,
            runtime,
            network,
            syslog,
            clock,
            events: events.clone(),
            images: images.clone(),
            volumes: volumes.clone(),
            registry,
            execs: Table::default(),
            host,
            settings: Arc::new(settings),
            run_root,
            network_ids: Arc::new(networks.ids()),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let (containers, left) = Containers::open(core.clone()).await?;
        let exec = Execs::open(core.clone(), left).await;
        let system = System::new(core);
        Ok(Arc::new(Self { containers, exec, images, volumes, networks, events, system }))
    }

    /// Stops every container and lets the store settle; before the machine powers off.
    /// Containers with a restart policy come back with the machine.
    pub async fn shutdown(&self, grace_seconds: i64) {
        self.containers.stop_all(grace_seconds).await;
        self.abandon().await;
    }

    /// Lets go of everything without touching a container: the daemon goes, they stay.
    pub async fn abandon(&self) {
        self.containers.let_go().await;
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.containers.cancel();
    }
}

/// What images call the kernel's architecture.
fn docker_architecture(kernel: &str) -> &str {
    match kernel {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
