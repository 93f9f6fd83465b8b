//! The network: user mode, so no rights are needed, with the largest MTU, because every packet
//! costs the same.

use super::{Arguments, NETWORK_ID, Slot, virtio_device};
use crate::spec::{MachineType, VmSpec};

const MTU: u16 = 65520;

pub(super) fn network(vm: &VmSpec, list: &mut Arguments) {
    let mut netdev = format!("user,id={NETWORK_ID}");
    for forward in &vm.forwards {
        netdev += &format!(",hostfwd=tcp:127.0.0.1:{}-:{}", forward.host, forward.guest);
    }
    list.option("-netdev", netdev);

    let mut properties = format!("netdev={NETWORK_ID},host_mtu={MTU},");
    if vm.machine != MachineType::Microvm {
        // Nobody boots from the network, so its firmware need not even be installed.
        properties += "romfile=,";
    }
    list.option("-device", virtio_device(vm, "net", &Slot::Network, &properties));
}
