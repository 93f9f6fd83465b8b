//! From a container's record to what everybody sees of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use engine_store::objects::{
    ContainerRecord, EndpointRecord, MountRecord, PublishedRecord, StateRecord, StoredStatus,
};

use super::core::Core;
use super::modes::{self, NetworkMode};
use super::registry::Snapshot;
use super::spec;
use super::state::Phase;
use super::types::{Container, MountPoint, State, Status};
use crate::config::NetworkAttachment;
use crate::ports::{Endpoint, ProcessId, Published};

pub(super) fn take(
    core: &Core,
    record: &ContainerRecord,
    phase: Phase,
    paused: bool,
    exits: u64,
    exec_ids: Vec<String>,
) -> Snapshot {
    let layout = core.store.layout();
    let running = matches!(phase, Phase::Running | Phase::Stopping);
    let state = &record.state;
    let process = (running && state.pid != 0)
        .then_some(ProcessId { pid: state.pid, start_time: state.process_start });
    let endpoint = record.endpoint.as_ref().and_then(endpoint).filter(|_| running);
    let namespace = match (&endpoint, process) {
        (Some(endpoint), _) => Some(endpoint.namespace.clone()),
        (None, Some(process)) => Some(PathBuf::from(format!("/proc/{}/ns/net", process.pid))),
        (None, None) => None,
    };
    // As dockerd, which makes the files at the first start.
    let started = state.started_at.is_some();
    let file = |name: &str| match started {
        true => layout.container_file(&record.id, name).to_string_lossy().into_owned(),
        false => String::new(),
    };
    let logged = started && record.host.log_config.driver == "json-file";
    let container = Container {
        id: record.id.clone(),
        name: record.name.clone(),
        created: i128::from(record.created),
        path: record.path.clone(),
        args: record.args.clone(),
        state: shown_state(state, phase, paused),
        image_id: record.image.clone(),
        config: record.config.clone(),
        host: record.host.clone(),
        networks: networks(core, record, endpoint.as_ref()),
        published: if running {
            record.published.iter().map(published).collect()
        } else {
            Vec::new()
        },
        sandbox_id: if running { record.sandbox.clone() } else { String::new() },
        sandbox_key: endpoint
            .as_ref()
            .map_or_else(String::new, |at| at.namespace.to_string_lossy().into_owned()),
        mounts: mount_points(core, record),
        restart_count: record.restart_count,
        log_path: if logged {
            layout.container_log(&record.id).to_string_lossy().into_owned()
        } else {
            String::new()
        },
        resolv_conf_path: file("resolv.conf"),
        hostname_path: file("hostname"),
        hosts_path: file("hosts"),
        root: spec::root(record, layout),
        exec_ids,
    };
    let layers = record.layers.clone();
    Snapshot {
        container,
        exits,
        removed: false,
        failed_removals: 0,
        process,
        endpoint,
        namespace,
        mounts: record.mounts.clone(),
        layers,
    }
}

fn shown_state(state: &StateRecord, phase: Phase, paused: bool) -> State {
    let status = match (state.status, phase) {
        (StoredStatus::Removing, _) => Status::Removing,
        (_, Phase::Running | Phase::Stopping) if paused => Status::Paused,
        (_, Phase::Running | Phase::Stopping) => Status::Running,
        (_, Phase::Restarting) => Status::Restarting,
        // Until it runs it looks as it did before.
        (StoredStatus::Created, _) => Status::Created,
        (_, _) => Status::Exited,
    };
    State {
        status,
        pid: if matches!(status, Status::Running | Status::Paused) { state.pid } else { 0 },
        exit_code: state.exit_code,
        oom_killed: state.oom_killed,
        error: state.error.clone(),
        started_at: state.started_at.map(i128::from),
        finished_at: state.finished_at.map(i128::from),
        health: state.health.clone(),
    }
}

fn networks(
    core: &Core,
    record: &ContainerRecord,
    endpoint: Option<&Endpoint>,
) -> BTreeMap<String, NetworkAttachment> {
    let mut networks = record.networks.clone();
    for (name, attachment) in &mut networks {
        // A container that never ran is in no network yet.
        if record.state.started_at.is_some()
            && let Some(id) = core.network_ids.get(name)
        {
            attachment.network_id.clone_from(id);
        }
    }
    let bridged = matches!(modes::network(&record.config, &record.host), Ok(NetworkMode::Bridge));
    if let Some(attachment) = networks.get_mut("bridge")
        && bridged
    {
        match endpoint {
            Some(endpoint) => {
                attachment.endpoint_id.clone_from(&endpoint.id);
                attachment.gateway = endpoint.gateway.to_string();
                attachment.ip_address = endpoint.address.to_string();
                attachment.ip_prefix_len = endpoint.prefix_len;
                attachment.mac_address.clone_from(&endpoint.mac_address);
            }
            None => {
                attachment.endpoint_id.clear();
                attachment.gateway.clear();
                attachment.ip_address.clear();
                attachment.ip_prefix_len = 0;
            }
        }
    }
    networks
}

fn mount_points(core: &Core, record: &ContainerRecord) -> Vec<MountPoint> {
    let numbered = record.mounts.iter().enumerate();
    let all = numbered.map(|(number, mount)| mount_point(core, &record.id, number, mount));
    all.collect()
}

fn mount_point(core: &Core, container: &str, number: usize, mount: &MountRecord) -> MountPoint {
    let layout = core.store.layout();
    MountPoint {
        kind: mount.kind.clone(),
        name: mount.name.clone(),
        source: match mount.kind.as_str() {
            "volume" => layout.volume_data(&mount.name).to_string_lossy().into_owned(),
            "image" => layout.container_image(container, number).to_string_lossy().into_owned(),
            _ => mount.source.clone(),
        },
        destination: mount.destination.clone(),
        driver: if mount.kind == "volume" { "local".into() } else { String::new() },
        mode: mount.mode.clone(),
        read_write: !mount.read_only,
        propagation: mount.propagation.clone(),
    }
}

pub(super) fn endpoint(record: &EndpointRecord) -> Option<Endpoint> {
    Some(Endpoint {
        id: record.id.clone(),
        namespace: record.namespace.clone().into(),
        address: record.address.parse().ok()?,
        prefix_len: record.prefix_len,
        gateway: record.gateway.parse().ok()?,
        mac_address: record.mac_address.clone(),
    })
}

pub(super) fn endpoint_record(endpoint: &Endpoint) -> EndpointRecord {
    EndpointRecord {
        id: endpoint.id.clone(),
        namespace: endpoint.namespace.to_string_lossy().into_owned(),
        address: endpoint.address.to_string(),
        prefix_len: endpoint.prefix_len,
        gateway: endpoint.gateway.to_string(),
        mac_address: endpoint.mac_address.clone(),
    }
}

pub(super) fn published(record: &PublishedRecord) -> Published {
    Published {
        container_port: record.container_port,
        protocol: record.protocol.clone(),
        host_ip: record.host_ip.clone(),
        host_port: record.host_port,
    }
}

pub(super) fn published_record(port: Published) -> PublishedRecord {
    PublishedRecord {
        container_port: port.container_port,
        protocol: port.protocol,
        host_ip: port.host_ip,
        host_port: port.host_port,
    }
}
