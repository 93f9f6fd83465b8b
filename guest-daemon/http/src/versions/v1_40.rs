//! 1.40: mounts may be not recursive, memory for IPC is private unless said otherwise, and a limit of
//! processes can be updated.

use engine_api::host_config::HostConfig;

use crate::version::ApiVersion;

pub(super) fn create(version: ApiVersion, host: &mut HostConfig) {
    if version >= ApiVersion::new(1, 40) {
        return;
    }
    host.kernel_memory_tcp = 0;
    for mount in host.mounts.iter_mut().flatten() {
        if let Some(bind) = &mut mount.bind_options {
            bind.non_recursive = false;
        }
    }
    if host.ipc_mode.is_empty() {
        host.ipc_mode = "shareable".to_owned();
    }
}

/// Before, clients sent a 0 that meant nothing.
pub(super) fn update(version: ApiVersion, change: &mut HostConfig) {
    if version < ApiVersion::new(1, 40) {
        change.pids_limit = None;
    }
}
