//! The memory, and the balloon through which the guest gives back what it does not use.

use super::{Arguments, Slot, virtio_device};
use crate::spec::VmSpec;

pub(super) fn memory(vm: &VmSpec, list: &mut Arguments) {
    list.option("-m", format!("size={}M", vm.memory_mib));
}

pub(super) fn balloon(vm: &VmSpec, list: &mut Arguments) {
    list.option(
        "-device",
        virtio_device(vm, "balloon", &Slot::Balloon, "id=balloon0,free-page-reporting=on,"),
    );
}
