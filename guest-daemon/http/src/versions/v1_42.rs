//! 1.42: streams of several streams have a media type of their own, pruning volumes spares those
//! with names, and the disk usage can be asked for in parts.

use std::collections::BTreeMap;

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
