//! The processors.

use super::Arguments;
use crate::spec::{Accelerator, Architecture, VmSpec};

pub(super) fn cpu(vm: &VmSpec, list: &mut Arguments) {
    list.option(
        "-cpu",
        match (vm.accelerator, vm.architecture) {
            (Accelerator::Kvm | Accelerator::Hvf, _) => "host",
            // What copies and fills byte by byte is fast in hardware, so everybody uses it where
            // the processor says so. Emulated it takes eight times as long as anything else.
            (Accelerator::Tcg, Architecture::X86_64) => "max,erms=off,fsrm=off",
            (Accelerator::Tcg, Architecture::Aarch64) => "max",
        },
    );
    list.option("-smp", format!("cpus={0},sockets=1,cores={0},threads=1", vm.cpus));
}
