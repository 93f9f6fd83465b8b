//! The console, and the virtio-serial ports between host and guest.

use super::{Arguments, Slot, escaped, virtio_device};
use crate::spec::VmSpec;

pub(super) fn console(vm: &VmSpec, list: &mut Arguments) {
    list.option(
        "-chardev",
        format!("file,id=console,path={},append=off", escaped(&vm.console_log)),
    );
    list.option("-serial", "chardev:console");
}

pub(super) fn ports(vm: &VmSpec, list: &mut Arguments) {
    list.option("-device", virtio_device(vm, "serial", &Slot::Serial, "id=serial0,"));
    for (number, port) in vm.ports.iter().enumerate() {
        list.option(
            "-chardev",
            format!("socket,id={},fd={},server=on,wait=off", port.id, port.descriptor),
        );
        // Port 0 is reserved for a console.
        list.option(
            "-device",
            format!(
                "virtserialport,bus=serial0.0,nr={},chardev={},id={},name={}",
                number + 1,
                port.id,
                port.id,
                escaped(&port.name)
            ),
        );
    }
}
