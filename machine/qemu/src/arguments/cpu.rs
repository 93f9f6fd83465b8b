//! The processors.

use super::Arguments;
use crate::spec::{Accelerator, VmSpec};

pub(super) fn cpu(vm: &VmSpec, list: &mut Arguments) {
    list.option(
        "-cpu",
        match vm.accelerator {
            Accelerator::Kvm | Accelerator::Hvf => "host",
            Accelerator::Tcg => "max",
        },
    );
    list.option("-smp", format!("cpus={0},sockets=1,cores={0},threads=1", vm.cpus));
}
