//! QMP, on a socket that was listening before QEMU began.

use super::Arguments;
use crate::spec::VmSpec;

pub(super) fn monitor(vm: &VmSpec, list: &mut Arguments) {
    list.option("-chardev", format!("socket,id=qmp,fd={},server=on,wait=off", vm.qmp_descriptor));
    list.option("-mon", "chardev=qmp,mode=control");
}
