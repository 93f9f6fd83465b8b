//! What every container's task needs of the rest of the engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use engine_store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::registry::Registry;
use crate::events::Events;
use crate::exec::Table;
use crate::images::Images;
use crate::open::HostFacts;
use crate::ports::{Network, Runtime, Syslog};
use crate::settings::Settings;
use crate::time::Clock;
use crate::volumes::Volumes;

#[derive(Clone)]
pub(crate) struct Core {
    pub store: Store,
    pub runtime: Arc<dyn Runtime>,
    pub network: Arc<dyn Network>,
    pub syslog: Arc<dyn Syslog>,
    pub clock: Arc<dyn Clock>,
    pub events: Events,
    pub images: Images,
    pub volumes: Volumes,
    pub registry: Registry,
    pub execs: Table,
    pub host: HostFacts,
    pub settings: Arc<Settings>,
    pub run_root: PathBuf,
    /// The ids of the networks by name.
    pub network_ids: Arc<BTreeMap<String, String>>,
    /// The daemon goes; containers stay.
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
}

impl Core {
    /// Where a container's pump keeps its marks.
    pub(super) fn mark_path(&self, id: &str) -> PathBuf {
        self.run_root.join(format!("{id}.pump"))
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("run_root", &self.run_root).finish_non_exhaustive()
    }
}
