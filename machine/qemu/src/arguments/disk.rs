//! The data disk.

use serde_json::json;

use super::{Arguments, DISK_NODE, Slot, virtio_device};
use crate::spec::VmSpec;

/// The node is described in JSON, in which a path is just a string and `backing: null` can be
/// said: whatever an image's header names, no other file of the host is ever opened. The guest's
/// flushes reach the host's disk (`no-flush` is off), and what it discards is given back.
pub(super) fn disk(vm: &VmSpec, list: &mut Arguments) {
    let node = json!({
        "driver": "qcow2",
        "node-name": DISK_NODE,
        "backing": null,
        "discard": "unmap",
        "detect-zeroes": "unmap",
        "cache": { "direct": false, "no-flush": false },
        "file": {
            "driver": "file",
            "filename": vm.disk.to_string_lossy(),
            "discard": "unmap",
        },
    });
    list.option("-blockdev", node.to_string());
    list.option("-device", virtio_device(vm, "blk", &Slot::Disk, &format!("drive={DISK_NODE},")));
}
