//! The job that starts a container's process, and undoes all of it when a step fails.

use std::net::IpAddr;

use engine_store::objects::{ContainerRecord, StoredStatus};

use super::core::Core;
use super::modes::{self, NetworkMode, Sharing};
use super::snapshot::{endpoint_record, published_record};
use super::spec::{self, Surroundings};
use super::{devices, endpoints, files, links, ports};
use crate::blocking::blocking;
use crate::error::{Error, Kind, Result};
use crate::ids;
use crate::logs::{self, Hub, Journal, LogPlan, Pump, Shipper};
use crate::ports::{AttachRequest, Process, ProcessId};
use crate::time::to_stored;

/// A container whose process runs.
#[derive(Debug)]
pub(crate) struct Launched {
    pub record: ContainerRecord,
    pub process: ProcessId,
    /// Completes when everything that it said was handed out.
    pub pump: tokio::task::JoinHandle<()>,
}

/// Why it does not run, and the exit code that says so.
#[derive(Debug)]
pub(crate) struct Failed {
    pub error: Error,
    pub exit_code: i32,
}

/// Starts it. The record that comes back says `Running` and was stored before the process ran.
pub(super) async fn launch(
    core: &Core,
    mut record: ContainerRecord,
    hub: std::sync::Arc<Hub>,
) -> std::result::Result<Launched, Failed> {
    let id = record.id.clone();
    match start(core, &mut record, hub).await {
        Ok((process, pump)) => Ok(Launched { record, process, pump }),
        Err(error) => {
            undo(core, &id).await;
            Err(failed(error))
        }
    }
}

/// Takes back whatever a start made.
pub(super) async fn undo(core: &Core, id: &str) {
    if let Err(error) = core.runtime.delete(id).await {
        tracing::error!(container = id, error = error.with_causes(), "cannot clean up a container");
    }
    if let Err(error) = core.network.detach(id).await {
        tracing::error!(container = id, error = error.with_causes(), "cannot clean up a network");
    }
    core.volumes.let_go(id).await;
}

async fn start(
    core: &Core,
    record: &mut ContainerRecord,
    hub: std::sync::Arc<Hub>,
) -> Result<(ProcessId, tokio::task::JoinHandle<()>)> {
    devices::check_requests(&record.host)?;
    check_shared(core, record)?;
    prepare_mounts(core, record).await?;
    let around = connect(core, record).await?;
    let defaults = &core.settings.containers;
    let spec = spec::build(record, core.store.layout(), defaults, around)?;
    let log = open_log(core, record, &hub).await.map_err(|error| {
        let text = format!("failed to initialize logging driver: {}", error.with_causes());
        Error::new(Kind::Internal, text).within(TASK_FAILED)
    })?;
    let process = core.runtime.create(spec).await.map_err(in_dockers_words)?;
    publish(core, record).await?;
    let id = process.id;
    record.state.status = StoredStatus::Running;
    record.state.pid = id.pid;
    record.state.process_start = id.start_time;
    record.state.exit_code = 0;
    record.state.oom_killed = false;
    record.state.error.clear();
    record.state.started_at = Some(to_stored(core.clock.now()));
    record.manually_stopped = false;
    let (store, stored) = (core.store.clone(), record.clone());
    // Before the process runs: a daemon that dies now finds it again with all that belongs to it.
    blocking(move || store.put_container(&stored)).await?;
    let pump = pump(core, hub, process, log);
    match core.runtime.start(&record.id).await {
        Ok(()) => Ok((id, pump)),
        Err(error) => {
            pump.abort();
            Err(in_dockers_words(error))
        }
    }
}

/// Namespaces of other containers are there only while these run.
fn check_shared(core: &Core, record: &ContainerRecord) -> Result<()> {
    let shared = [("IPC", modes::ipc(&record.host)?), ("PID", modes::pid(&record.host)?)];
    for (kind, mode) in shared {
        let Sharing::Container(id) = mode else { continue };
        let within = |error: Error| error.within(&format!("failed to join {kind} namespace"));
        let other = core.registry.find(&id).map_err(within)?.look();
        if !other.is_running() {
            let text = format!("container {id} is not running");
            return Err(within(Error::conflict(text)));
        }
        if kind == "IPC"
            && !matches!(other.container.host.ipc_mode.as_str(), "shareable" | "host")
            && !other.container.host.ipc_mode.starts_with("container:")
        {
            return Err(within(Error::invalid(format!(
                "container {id}: non-shareable IPC (hint: use IpcMode:shareable for the donor \
                 container)"
            ))));
        }
    }
    Ok(())
}

const TASK_FAILED: &str = "failed to create task for container";

/// Where a process's output goes besides to who is attached.
type Log = (Option<Journal>, Option<Shipper>);

fn plan(core: &Core, record: &ContainerRecord) -> Result<LogPlan> {
    let subject = logs::Subject { record, host: &core.host.name };
    logs::plan(&record.host.log_config, &subject)
}

async fn open_log(core: &Core, record: &ContainerRecord, hub: &Hub) -> Result<Log> {
    let plan = plan(core, record)?;
    let shipper = match plan.remote {
        Some(remote) => Some(Shipper::begin(core.syslog.clone(), remote).await?),
        None => None,
    };
    let mark = core.mark_path(&record.id);
    let journal = match hub.log().cloned().zip(plan.file) {
        Some((log, file)) => Some(opened(move || Journal::begin(log, &mark, file)).await?),
        None => None,
    };
    Ok((journal, shipper))
}

async fn opened(open: impl FnOnce() -> Result<Journal> + Send + 'static) -> Result<Journal> {
    let opened = tokio::task::spawn_blocking(open).await;
    opened.map_err(|failed| Error::internal("cannot open the log", failed))?
}

/// Begins to move what the process says.
fn pump(
    core: &Core,
    hub: std::sync::Arc<Hub>,
    process: Process,
    (journal, shipper): Log,
) -> tokio::task::JoinHandle<()> {
    let (clock, stop) = (core.clock.clone(), core.stop.clone());
    core.tasks.spawn(Pump { hub, journal, shipper, clock, stop }.begin(process.io))
}

/// Goes on where an earlier daemon was.
pub(super) async fn pump_again(
    core: &Core,
    record: &ContainerRecord,
    hub: std::sync::Arc<Hub>,
    process: Process,
) -> Result<tokio::task::JoinHandle<()>> {
    let plan = plan(core, record)?;
    let mark = core.mark_path(&record.id);
    let journal = match hub.log().cloned().zip(plan.file) {
        Some((log, file)) => Some(opened(move || Journal::recover(log, &mark, file)).await?),
        None => None,
    };
    let partial = journal.as_ref().map(|journal| journal.partial().clone()).unwrap_or_default();
    let syslog = core.syslog.clone();
    let shipper = plan.remote.map(|remote| Shipper::recover(syslog, remote, partial));
    Ok(pump(core, hub, process, (journal, shipper)))
}

async fn prepare_mounts(core: &Core, record: &ContainerRecord) -> Result<()> {
    for mount in record.mounts.iter().filter(|mount| mount.kind == "volume") {
        // One that was removed by force comes back empty.
        core.volumes.for_container(&mount.name, None).await?;
        core.volumes.mount(&mount.name, &record.id).await?;
    }
    let store = core.store.clone();
    let missing: Vec<String> = record
        .mounts
        .iter()
        .filter(|mount| mount.kind == "bind" && mount.create_source)
        .map(|mount| mount.source.clone())
        .collect();
    blocking(move || missing.iter().try_for_each(|path| store.make_guest_folder(path))).await
}

/// Gives the container its network, and the files that speak of it.
async fn connect(core: &Core, record: &mut ContainerRecord) -> Result<Surroundings> {
    let mut around = Surroundings { files_of: record.id.clone(), ..Surroundings::default() };
    let mut address = None;
    record.endpoint = None;
    record.published = Vec::new();
    record.sandbox = ids::new_id();
    match modes::network(&record.config, &record.host)? {
        NetworkMode::Bridge => {
            let asked = record.networks.get("bridge").cloned().unwrap_or_default();
            let request = AttachRequest {
                container: record.id.clone(),
                interface: endpoints::interface(&asked).to_owned(),
                link_local: endpoints::link_local(&asked)
                    .filter_map(|address| address.parse().ok())
                    .collect(),
                mac_address: asked.mac_address.clone(),
            };
            let endpoint = core
                .network
                .attach(request)
                .await
                .map_err(|error| error.within("failed to set up container networking"))?;
            address = Some(endpoint.address.to_string());
            around.network_namespace = Some(endpoint.namespace.clone());
            around.own_network = true;
            around.sysctls = endpoints::sysctls(&asked);
            record.endpoint = Some(endpoint_record(&endpoint));
        }
        NetworkMode::None => {
            around.network_namespace = Some(core.network.isolate(&record.id).await?);
            around.own_network = true;
        }
        NetworkMode::Host => {}
        NetworkMode::Container(other) => {
            let other = core.registry.find(&other)?.look();
            let namespace = other.namespace.clone().ok_or_else(|| {
                Error::conflict(format!(
                    "cannot join network namespace of a non running container: container {} is \
                     not running",
                    other.container.name
                ))
            })?;
            around.network_namespace = Some(namespace);
            around.files_of.clone_from(&other.container.id);
            return Ok(around);
        }
    }
    let told = links::told(&core.registry, &record.name, &record.host)?;
    write_files(core, record, address.as_deref(), &told.hosts).await?;
    around.links = told.env;
    if let Some(address) = &address {
        links::tell_address(&core.registry, &record.name, address).await;
    }
    Ok(around)
}

/// Writes the hosts file of a container that runs anew.
pub(super) async fn write_hosts(core: &Core, record: &ContainerRecord) -> Result<()> {
    let address = record.endpoint.as_ref().map(|endpoint| endpoint.address.as_str());
    let hosts = hosts(core, record, address)? + &links::hosts(&core.registry, &record.host);
    let (store, id) = (core.store.clone(), record.id.clone());
    blocking(move || store.write_container_file(&id, "hosts", &hosts)).await
}

fn hosts(core: &Core, record: &ContainerRecord, address: Option<&str>) -> Result<String> {
    let chosen = core.settings.containers.host_gateway.map(IpAddr::V4);
    let gateway = chosen.unwrap_or_else(|| core.network.bridge().1).to_string();
    files::hosts(&record.config, &record.host, &gateway, address)
}

async fn write_files(
    core: &Core,
    record: &ContainerRecord,
    address: Option<&str>,
    linked: &str,
) -> Result<()> {
    let hosts = hosts(core, record, address)? + linked;
    let hostname = files::hostname(&record.config);
    let usual = files::usual_resolv_conf(&core.settings.containers, &core.network.resolv_conf());
    let resolv_conf = files::resolv_conf(&record.host, &usual);
    let (store, id) = (core.store.clone(), record.id.clone());
    blocking(move || {
        store.write_container_file(&id, "hosts", &hosts)?;
        store.write_container_file(&id, "hostname", &hostname)?;
        store.write_container_file(&id, "resolv.conf", &resolv_conf)
    })
    .await
}

async fn publish(core: &Core, record: &mut ContainerRecord) -> Result<()> {
    let Some(endpoint) = &record.endpoint else { return Ok(()) };
    let mut wanted = ports::wanted(&record.config, &record.host)?;
    if wanted.is_empty() {
        return Ok(());
    }
    for port in wanted.iter_mut().filter(|port| port.host_ip.is_empty()) {
        port.host_ip.clone_from(&core.settings.containers.publish_address);
    }
    let published = core.network.publish(&record.id, wanted).await.map_err(|error| {
        error.within(&format!(
            "failed to set up container networking: driver failed programming external \
             connectivity on endpoint {} ({})",
            record.name, endpoint.id
        ))
    })?;
    record.published = published.into_iter().map(published_record).collect();
    Ok(())
}

/// How errors begin about what of a volume or an image is to be mounted.
const SUBPATHS: [&str; 2] = ["cannot access path ", "path concatenation escapes "];

/// Clients derive 126 and 127 from these words.
fn in_dockers_words(error: Error) -> Error {
    // dockerd has mounted volumes and images before it asks its runtime.
    if SUBPATHS.iter().any(|words| error.to_string().starts_with(words)) {
        return error;
    }
    if error.kind() == Kind::NotFound {
        return Error::new(Kind::Internal, error.with_causes());
    }
    if error.kind() != Kind::InvalidArgument {
        return error.within(TASK_FAILED);
    }
    // dockerd finds this out before it asks its runtime.
    if error.to_string().starts_with("unable to find ") {
        return Error::new(Kind::Internal, error.to_string());
    }
    let text = format!(
        "{TASK_FAILED}: failed to create shim task: OCI runtime create failed: runc create \
         failed: unable to start container process: error during container init: {error}"
    );
    Error::new(Kind::InvalidArgument, text)
}

const VOLUME: &str = "error while mounting volume";
/// The exit code when there was no process whose it could be.
const UNKNOWN: i32 = 128;

fn failed(error: Error) -> Failed {
    let text = error.to_string();
    // What is missing of a volume is no missing program.
    let of_mount = [VOLUME].iter().chain(&SUBPATHS).any(|words| text.starts_with(words));
    let exit_code = if of_mount { UNKNOWN } else { exit_code_of(&text) };
    Failed { error, exit_code }
}

/// The exit code that a process's failure to start stands for.
pub(crate) fn exit_code_of(text: &str) -> i32 {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["executable file not found", "no such file or directory"]) {
        127
    } else if says(&["permission denied", "is a directory", "exec format error"]) {
        126
    } else {
        UNKNOWN
    }
}
