//! The board, the accelerator, and what every VM has.

use super::{Arguments, Slot, escaped, virtio_device};
use crate::spec::{Accelerator, MachineType, VmSpec};

pub(super) fn base(vm: &VmSpec, list: &mut Arguments) {
    list.flag("-nodefaults");
    list.flag("-no-user-config");
    list.option("-display", "none");
    list.option("-name", format!("guest={}", escaped(&vm.name)));
    if vm.features.sandbox {
        list.option("-sandbox", SANDBOX);
    }
    list.option("-rtc", "base=utc");
    // The vCPUs wait until the disk has its size.
    list.flag("-S");
    if vm.incoming {
        // From where is said over QMP.
        list.option("-incoming", "defer");
    }
    // A panic during boot ends QEMU at once instead of booting for ever; changed over QMP as soon
    // as the guest has been up.
    list.option("-action", "reboot=shutdown,panic=shutdown");
}

/// QEMU gives up everything it does not need once it runs: other processes, other users' rights,
/// its own limits.
pub(crate) const SANDBOX: &str =
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

pub(super) fn machine(vm: &VmSpec, list: &mut Arguments) {
    let machine = match vm.machine {
        // Without what no guest of ours has a driver for.
        MachineType::Q35 => "q35,smbus=off,sata=off,vmport=off",
        MachineType::Microvm => {
            "microvm,acpi=off,rtc=on,pit=on,pic=on,isa-serial=on,auto-kernel-cmdline=on"
        }
        MachineType::Virt => match (vm.accelerator, vm.cpus) {
            (Accelerator::Kvm, _) => "virt,gic-version=host",
            // The default interrupt controller serves eight CPUs; a newer one needs QEMU 8 here.
            (Accelerator::Hvf, 0..=8) => "virt,highmem=on",
            (Accelerator::Hvf, _) => "virt,highmem=on,gic-version=3",
            (Accelerator::Tcg, _) => "virt,gic-version=3",
        },
    };
    list.option("-machine", machine);
    list.option(
        "-accel",
        match (vm.accelerator, vm.cpus) {
            (Accelerator::Kvm, _) => "kvm",
            (Accelerator::Hvf, _) => "hvf",
            (Accelerator::Tcg, 0..=1) => "tcg",
            // With a thread for each CPU, a breakpoint of the kernel's code patching can arrive
            // after it was taken back, and the guest dies (seen with QEMU 7.2 in one boot of four).
            (Accelerator::Tcg, _) => "tcg,thread=single",
        },
    );
}

pub(super) fn random(vm: &VmSpec, list: &mut Arguments) {
    list.option("-object", "rng-random,id=random0,filename=/dev/urandom");
    list.option("-device", virtio_device(vm, "rng", &Slot::Random, "rng=random0,"));
}
