//! 1.42: streams of several streams have a media type of their own, pruning volumes spares those
//! with names, the disk usage can be asked for in parts, terminals begin with a size, containers
//! can be stopped by any signal, and lists of images count what is shared.

use std::collections::BTreeMap;

use engine_api::host_config::HostConfig;

use crate::version::ApiVersion;

const SINCE: ApiVersion = ApiVersion::new(1, 42);
const RAW: &str = "application/vnd.docker.raw-stream";
const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";

/// The content type of a process's output with or without a terminal.
pub(crate) fn stream_media_type(version: ApiVersion, tty: bool) -> &'static str {
    if tty || version < SINCE { RAW } else { MULTIPLEXED }
}

/// Before, all that were unused went.
pub(crate) fn volume_prune_filters(
    version: ApiVersion,
    filters: &mut BTreeMap<String, Vec<String>>,
) {
    if version < SINCE {
        filters.insert("all".to_owned(), vec!["true".to_owned()]);
    }
}

/// The kinds of things to measure; before, it was always all of them.
pub(crate) fn disk_usage_types(version: ApiVersion, wanted: Vec<String>) -> Vec<String> {
    if version < SINCE { Vec::new() } else { wanted }
}

/// Options that belong to another kind of mount were passed over.
pub(super) fn create(version: ApiVersion, host: &mut HostConfig) {
    if version >= SINCE {
        // No client means it any more.
        host.kernel_memory = 0;
        return;
    }
    host.console_size = [0, 0];
    for mount in host.mounts.iter_mut().flatten() {
        let kind = mount.kind.clone();
        mount.volume_options.take_if(|_| kind != "volume");
        mount.tmpfs_options.take_if(|_| kind != "tmpfs");
        if let Some(bind) = &mut mount.bind_options {
            bind.create_mountpoint = false;
        }
    }
}

pub(crate) fn stop_signal(version: ApiVersion, asked: Option<&str>) -> Option<&str> {
    asked.filter(|signal| version >= SINCE && !signal.is_empty())
}

pub(crate) fn console_size(version: ApiVersion, asked: Option<[u16; 2]>) -> Option<[u16; 2]> {
    asked.filter(|_| version >= SINCE)
}

/// Whether a WebSocket carries a stream; before, it was always all of them.
pub(crate) fn websocket_stream(version: ApiVersion, asked: bool) -> bool {
    version < SINCE || asked
}

pub(crate) fn counts_shared_size(version: ApiVersion, asked: bool) -> bool {
    asked && version >= SINCE
}
