//! What an earlier daemon left: running containers go on, the others are shown as they ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine_store::objects::{ContainerRecord, StoredStatus};

use super::core::Core;
use super::create::hub;
use super::launch;
use super::state::Phase;
use super::task::spawn;
use super::{Command, Containers, links, restart, snapshot};
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::ports::{Process, Recovered};
use crate::time::to_stored;

impl Containers {
    /// Reads every record and takes over every process. Returns exec'd processes that are left.
    pub(crate) async fn open(core: Core) -> Result<(Self, Vec<(String, String, Process)>)> {
        let store = core.store.clone();
        let records = blocking(move || store.containers()).await?;
        let mut left: BTreeMap<String, Recovered> = core
            .runtime
            .recover()
            .await?
            .into_iter()
            .map(|recovered| (recovered.container.clone(), recovered))
            .collect();
        let running: Vec<ContainerRecord> = records
            .iter()
            .filter(|record| left.get(&record.id).is_some_and(|found| found.started))
            .cloned()
            .collect();
        restore_network(&core, &running).await;
        core.volumes.take_over(volumes(&running)).await;
        let mut execs = Vec::new();
        let mut again = Vec::new();
        for record in records {
            match left.remove(&record.id) {
                Some(found) if found.started => {
                    let id = record.id.clone();
                    let left = found.execs.into_iter();
                    execs.extend(left.map(|(exec, process)| (id.clone(), exec, process)));
                    if let Err(error) = go_on(&core, record, found.process, found.paused).await {
                        not_taken_over(&id, &error);
                    }
                }
                found => {
                    if found.is_some() {
                        launch::undo(&core, &record.id).await;
                    }
                    let id = record.id.clone();
                    match ended(&core, record).await {
                        Ok(handle) => again.extend(handle),
                        Err(error) => not_taken_over(&id, &error),
                    }
                }
            }
        }
        for unknown in left.into_keys() {
            tracing::warn!(container = unknown, "removing a container without a record");
            launch::undo(&core, &unknown).await;
        }
        let starting = Arc::new(again.iter().map(|handle| handle.id.clone()).collect());
        for handle in again {
            let (registry, starting) = (core.registry.clone(), Arc::clone(&starting));
            let stop = core.stop.clone();
            core.tasks.spawn(async move {
                tokio::select! {
                    () = links::wait_for_targets(&registry, &handle, &starting) => {}
                    () = stop.cancelled() => return,
                }
                let (reply, _) = tokio::sync::oneshot::channel();
                drop(handle.commands.send(Command::Start(reply)).await);
            });
        }
        Ok((Self { core, pruning: Arc::default() }, execs))
    }
}

/// The volumes of containers, each with the container's id.
fn volumes(running: &[ContainerRecord]) -> Vec<(String, String)> {
    let of = |record: &ContainerRecord| {
        let id = record.id.clone();
        let volumes = record.mounts.clone().into_iter().filter(|mount| mount.kind == "volume");
        volumes.map(move |mount| (mount.name, id.clone()))
    };
    running.iter().flat_map(of).collect()
}

/// One container that cannot be shown must not stop the others.
fn not_taken_over(id: &str, error: &Error) {
    tracing::error!(container = id, error = error.with_causes(), "a container is not taken over");
}

async fn restore_network(core: &Core, running: &[ContainerRecord]) {
    let endpoints = running
        .iter()
        .map(|record| {
            let endpoint = record.endpoint.as_ref().and_then(snapshot::endpoint);
            let published = record.published.iter().map(snapshot::published).collect();
            (record.id.clone(), endpoint, published)
        })
        .collect();
    if let Err(error) = core.network.restore(endpoints).await {
        tracing::error!(error = error.with_causes(), "networks are not restored");
    }
}

async fn go_on(
    core: &Core,
    mut record: ContainerRecord,
    process: Process,
    paused: bool,
) -> Result<()> {
    record.state.status = StoredStatus::Running;
    record.state.pid = process.id.pid;
    record.state.process_start = process.id.start_time;
    let hub = hub(core, &record);
    let id = process.id;
    if let Err(error) = core.registry.reserve(&record.name, &record.id) {
        tracing::error!(container = record.id, reason = %error, "a container has lost its name");
    }
    let pump = launch::pump_again(core, &record, Arc::clone(&hub), process).await?;
    let (handle, starter) = spawn(core, record, hub, Phase::Running, paused);
    core.registry.insert(handle);
    starter.watch(id, pump).run();
    Ok(())
}

/// A container that does not run. Returns its handle when it is to be started.
async fn ended(
    core: &Core,
    mut record: ContainerRecord,
) -> Result<Option<super::registry::Handle>> {
    let was_up = matches!(record.state.status, StoredStatus::Running | StoredStatus::Restarting);
    if record.state.status == StoredStatus::Running {
        record.state.exit_code = 255;
        record.state.finished_at = Some(to_stored(core.clock.now()));
    }
    record.state.pid = 0;
    record.endpoint = None;
    record.published = Vec::new();
    let store = core.store.clone();
    if record.state.status == StoredStatus::Removing || (was_up && record.host.auto_remove) {
        let id = record.id.clone();
        let gone = blocking(move || store.remove_container(&id)).await;
        if let Err(error) = gone {
            tracing::error!(error = error.with_causes(), "a container is not removed");
        }
        let layers: Vec<String> = record.all_layers().cloned().collect();
        core.images.release(&layers);
        for mount in record.mounts.iter().filter(|mount| mount.anonymous) {
            if let Err(error) = core.volumes.remove(&mount.name, true).await {
                tracing::info!(volume = mount.name, reason = %error, "a volume stays");
            }
        }
        return Ok(None);
    }
    if was_up {
        record.state.status = StoredStatus::Exited;
        let stored = record.clone();
        blocking(move || store.put_container(&stored)).await?;
    }
    let hub = hub(core, &record);
    if let Some(log) = hub.log().cloned() {
        let length = blocking(move || log.length()).await?;
        hub.set_log_length(length);
    }
    let created = record.state.status == StoredStatus::Created;
    let ended = restart::Ended {
        exit_code: record.state.exit_code,
        cancelled: false,
        manually_stopped: record.manually_stopped,
        restarts: record.restart_count,
    };
    let start = !created && restart::at_open(&record.host.restart_policy, ended);
    let phase = if created { Phase::Created } else { Phase::Exited };
    if let Err(error) = core.registry.reserve(&record.name, &record.id) {
        tracing::error!(container = record.id, reason = %error, "a container has lost its name");
    }
    let (handle, starter) = spawn(core, record, hub, phase, false);
    core.registry.insert(handle.clone());
    starter.run();
    Ok(start.then_some(handle))
}
