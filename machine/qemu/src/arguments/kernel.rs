//! The kernel, its command line, the initramfs, and the boot contract.

use super::{Arguments, escaped};
use crate::spec::{Accelerator, Architecture, MachineType, VmSpec};

pub(super) fn kernel(vm: &VmSpec, list: &mut Arguments) {
    // These two options take a path as it is, commas included.
    list.option("-kernel", vm.kernel.to_string_lossy());
    list.option("-initrd", vm.initramfs.to_string_lossy());
    list.option("-append", command_line(vm));
    list.option(
        "-fw_cfg",
        format!("name={},file={}", escaped(&vm.boot_contract_name), escaped(&vm.boot_contract)),
    );
}

fn command_line(vm: &VmSpec) -> String {
    let mut words = vec![
        match vm.architecture {
            Architecture::X86_64 => "console=ttyS0",
            Architecture::Aarch64 => "console=ttyAMA0",
        },
        "quiet",
        // A panic restarts at once; QEMU decides what a restart means.
        "panic=-1",
    ];
    if vm.architecture == Architecture::X86_64 && vm.accelerator == Accelerator::Tcg {
        if vm.cpus == 1 {
            // Patching every lock for one processor costs emulation 120 ms.
            words.push("noreplace-smp");
        }
        // KVM guests know both of themselves: that the timer interrupt works (waiting for ten
        // ticks: 86 ms) and how fast QEMU's local APIC timer runs (measuring it: 105 ms).
        words.push("no_timer_check");
        words.push("lapic_timer_khz=1000000");
    }
    if vm.machine == MachineType::Microvm {
        // There is no ACPI to tell either.
        words.push("reboot=t");
        words.push("qemu_fw_cfg.ioport=12@0x510:0:1:4");
    }
    words.join(" ")
}
