//! What runs before the kernel.

use super::Arguments;
use crate::spec::{MachineType, VmSpec};

/// q35's own firmware, SeaBIOS, spends 100 ms or more on devices nobody boots from; qboot only
/// starts the kernel. microvm has it by default, and arm64 needs none.
pub(super) fn firmware(vm: &VmSpec, list: &mut Arguments) {
    if vm.machine == MachineType::Q35 && vm.features.qboot {
        list.option("-bios", "qboot.rom");
    }
}
