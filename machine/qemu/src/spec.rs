//! What QEMU is asked to run, as plain values.

use std::path::PathBuf;

/// One VM, with everything the argument list depends on and nothing else, so that the list can be
/// computed for any host on any host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmSpec {
    pub name: String,
    pub architecture: Architecture,
    pub machine: MachineType,
    pub accelerator: Accelerator,
    pub cpus: u32,
    pub memory_mib: u64,
    pub disk: PathBuf,
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
    /// The file shown to the guest as `boot_contract_name`.
    pub boot_contract: PathBuf,
    pub boot_contract_name: String,
    /// Where the guest's console output goes.
    pub console_log: PathBuf,
    /// Ports on 127.0.0.1 that lead to ports of the guest.
    pub forwards: Vec<PortForward>,
    /// The control line between host and guest, and the guest agent's.
    pub ports: Vec<SerialPort>,
    /// The descriptor number of QMP's listening socket.
    pub qmp_descriptor: i32,
    pub features: Features,
    /// It does not boot, but goes on from what [`crate::qmp::Qmp::load`] gives it.
    pub incoming: bool,
}

/// A TCP port that is forwarded from QEMU's first moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortForward {
    pub host: u16,
    pub guest: u16,
}

/// A virtio-serial port, connected to a listening socket that QEMU inherits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerialPort {
    /// The chardev's and device's id.
    pub id: String,
    /// What the guest sees, such as `org.qemu.guest_agent.0`.
    pub name: String,
    pub descriptor: i32,
}

/// What the found QEMU can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Features {
    /// It was built with seccomp.
    pub sandbox: bool,
    /// Its data directory has `qboot.rom`, a firmware that does nothing but start the kernel.
    pub qboot: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    X86_64,
    Aarch64,
}

impl Architecture {
    /// The architecture this program was built for; guests are always of the host's.
    pub const HOST: Self = if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 };

    /// The name in `qemu-system-…`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineType {
    Q35,
    Microvm,
    Virt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    Kvm,
    Hvf,
    Tcg,
}

/// The board a guest gets.
///
/// On x86_64 it is q35 with the qboot firmware everywhere. microvm reaches PID 1 about 90 ms sooner
/// under emulation (measured with the same kernel and devices: 744 against 829 ms, stock SeaBIOS
/// 984 ms), but has no ACPI, and so no power-off, no power button and no clock to check the TSC
/// against: when the TSC calibration fails on a busy host, and it did, a microvm guest is left
/// with a clock of 4 ms ticks. Linux also reads fw_cfg there only with a patched driver.
#[must_use]
pub fn machine_type(_accelerator: Accelerator, architecture: Architecture) -> MachineType {
    match architecture {
        Architecture::X86_64 => MachineType::Q35,
        Architecture::Aarch64 => MachineType::Virt,
    }
}

/// [`machine_type`], unless `MACHINE_QEMU_MACHINE` names another one for measuring.
#[must_use]
pub fn machine_type_from_environment(
    accelerator: Accelerator,
    architecture: Architecture,
) -> MachineType {
    let wanted = std::env::var("MACHINE_QEMU_MACHINE").unwrap_or_default();
    match (architecture, wanted.as_str()) {
        (Architecture::X86_64, "microvm") => MachineType::Microvm,
        (Architecture::X86_64, "q35") => MachineType::Q35,
        _ => machine_type(accelerator, architecture),
    }
}
