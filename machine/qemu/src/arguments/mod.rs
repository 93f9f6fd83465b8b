//! From a [`VmSpec`] to QEMU's argument list: one pure function per group of switches.
//!
//! **Invariant:** no function here looks at the host; what differs between hosts is in the spec.

mod cpu;
mod disk;
mod firmware;
mod kernel;
mod machine;
mod memory;
mod monitor;
mod network;
mod serial;
#[cfg(test)]
mod tests;

pub(crate) use machine::SANDBOX;

use crate::spec::{MachineType, VmSpec};

/// The id of the user-mode network, needed to add and remove forwards while the VM runs.
pub const NETWORK_ID: &str = "net0";

/// The node name of the data disk, needed to resize it.
pub const DISK_NODE: &str = "disk0";

/// All arguments of `qemu-system-…`.
#[must_use]
pub fn arguments(vm: &VmSpec) -> Vec<String> {
    let mut list = Arguments::default();
    machine::base(vm, &mut list);
    machine::machine(vm, &mut list);
    cpu::cpu(vm, &mut list);
    memory::memory(vm, &mut list);
    firmware::firmware(vm, &mut list);
    kernel::kernel(vm, &mut list);
    monitor::monitor(vm, &mut list);
    serial::console(vm, &mut list);
    disk::disk(vm, &mut list);
    network::network(vm, &mut list);
    serial::ports(vm, &mut list);
    memory::balloon(vm, &mut list);
    machine::random(vm, &mut list);
    list.0
}

/// Those of the arguments that say what the guest finds in its machine. Memory and devices that were
/// saved fit where these are the same.
#[must_use]
pub fn hardware(vm: &VmSpec) -> Vec<String> {
    let of_hardware = ["-machine", "-accel", "-cpu", "-smp", "-m", "-bios", "-device"];
    let list = arguments(vm);
    let pairs = list.iter().zip(list.iter().skip(1));
    let hardware = pairs.filter(|(switch, _)| of_hardware.contains(&switch.as_str()));
    hardware.map(|(switch, value)| format!("{switch} {value}")).collect()
}

#[derive(Default)]
struct Arguments(Vec<String>);

impl Arguments {
    fn flag(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    fn option(&mut self, name: &str, value: impl Into<String>) {
        self.0.push(name.to_owned());
        self.0.push(value.into());
    }
}

/// A value inside a comma-separated option: QEMU reads a doubled comma as one.
fn escaped(value: impl AsRef<std::ffi::OsStr>) -> String {
    value.as_ref().to_string_lossy().replace(',', ",,")
}

/// The slot of a virtio device.
///
/// microvm's transports have fixed interrupts (slot n has 5 + n) and QEMU would fill them from the
/// highest down, which gives the fifth device the interrupt of the real-time clock.
enum Slot {
    Disk,
    Network,
    Serial,
    Balloon,
    Random,
}

/// `-device` with the name the board's bus wants: `virtio-blk-pci` or `virtio-blk-device`.
fn virtio_device(vm: &VmSpec, kind: &str, slot: &Slot, properties: &str) -> String {
    match vm.machine {
        MachineType::Q35 | MachineType::Virt => {
            format!("virtio-{kind}-pci,{properties}disable-legacy=on")
        }
        MachineType::Microvm => {
            let bus = match slot {
                Slot::Disk => 7,
                Slot::Network => 6,
                Slot::Serial => 5,
                Slot::Random => 4,
                Slot::Balloon => 2,
            };
            format!("virtio-{kind}-device,{properties}bus=virtio-mmio-bus.{bus}")
        }
    }
}
