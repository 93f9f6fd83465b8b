//! Everything about one container.

use std::collections::BTreeMap;
use std::path::Path;

use engine::containers::Container;
use engine::ports::RootFilesystem;
use engine_api::container_inspect::{ContainerInspect, GraphDriver, NetworkSettings};

use super::{config, host_config, mounts, networks, ports, state};
use crate::times;

pub(crate) fn to_api(container: &Container) -> ContainerInspect {
    ContainerInspect {
        id: container.id.clone(),
        created: times::rfc3339(container.created),
        path: container.path.clone(),
        args: container.args.clone(),
        state: state::to_api(&container.state),
        image: container.image_id.clone(),
        resolv_conf_path: container.resolv_conf_path.clone(),
        hostname_path: container.hostname_path.clone(),
        hosts_path: container.hosts_path.clone(),
        log_path: container.log_path.clone(),
        name: format!("/{}", container.name),
        restart_count: container.restart_count,
        driver: "overlay2".to_owned(),
        platform: "linux".to_owned(),
        mount_label: String::new(),
        process_label: String::new(),
        app_armor_profile: String::new(),
        exec_ids: Some(container.exec_ids.clone()).filter(|ids| !ids.is_empty()),
        host_config: host_config::to_api(&container.host),
        graph_driver: graph_driver(&container.id, &container.root),
        size_rw: None,
        size_root_fs: None,
        mounts: mounts::points_to_api(&container.mounts),
        config: config::to_api(&container.config),
        network_settings: network_settings(container),
    }
}

fn graph_driver(id: &str, root: &RootFilesystem) -> GraphDriver {
    let lower: Vec<_> = root.lower.iter().map(|path| text(path)).collect();
    let data = [
        ("ID", id.to_owned()),
        ("LowerDir", lower.join(":")),
        ("MergedDir", text(&root.merged)),
        ("UpperDir", text(&root.upper)),
        ("WorkDir", text(&root.work)),
    ];
    GraphDriver {
        data: Some(BTreeMap::from(data.map(|(name, value)| (name.to_owned(), value)))),
        name: "overlay2".to_owned(),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn network_settings(container: &Container) -> NetworkSettings {
    let bridge = container.networks.get("bridge").cloned().unwrap_or_default();
    NetworkSettings {
        sandbox_id: container.sandbox_id.clone(),
        sandbox_key: container.sandbox_key.clone(),
        ports: ports::to_map(container),
        endpoint_id: bridge.endpoint_id,
        gateway: bridge.gateway,
        ip_address: bridge.ip_address,
        ip_prefix_len: bridge.ip_prefix_len,
        mac_address: bridge.mac_address,
        networks: networks::to_api(&container.networks),
        ..NetworkSettings::default()
    }
}
