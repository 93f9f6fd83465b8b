//! The port behind which virtual machines run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Runs virtual machines. Every answer about a machine's state is derived from live facts (lock,
/// pid and start time, QMP), never from a remembered state.
#[async_trait]
pub trait Driver: Send + Sync {
    /// Whether this host can run machines at all; asked before anything is made.
    async fn check(&self) -> Result<(), DriverError> {
        Ok(())
    }

    /// Starts the VM in a process that outlives the caller and waits until its Docker API has
    /// answered a TLS `GET /_ping`. On an error nothing runs any more.
    async fn start(&self, vm: &VmSpec, progress: &dyn Progress) -> Result<Started, DriverError>;

    /// Ends the VM and waits until it is gone. Succeeds with `false` if it did not run.
    async fn stop(&self, machine: &MachineFiles, how: Stop) -> Result<bool, DriverError>;

    /// What is true now. What has not answered within `patience` hangs, or is very busy, and is
    /// called [`Observed::Unresponsive`].
    async fn observe(
        &self,
        machine: &MachineFiles,
        patience: Duration,
    ) -> Result<Observed, DriverError>;

    /// Whether a supervisor serves the running VM. Without one the VM goes on; [`Driver::start`]
    /// gives it a new one, and the calls below fail with [`DriverError::Unsupervised`].
    async fn is_supervised(&self, machine: &MachineFiles) -> Result<bool, DriverError>;

    /// Lets the vCPUs stand still.
    async fn pause(&self, machine: &MachineFiles) -> Result<(), DriverError>;

    /// Lets them run on, and sets the guest's clock.
    async fn unpause(&self, machine: &MachineFiles) -> Result<(), DriverError>;

    /// Writes the memory and devices of a running or paused VM to the new file `state`, which is
    /// there whole or not at all, and ends the VM. On an error the VM is as it was before.
    /// `VmSpec::resume_from` takes the file.
    async fn suspend(&self, machine: &MachineFiles, state: &Path) -> Result<(), DriverError>;

    /// Copies memory, devices and disk of a running or paused VM as they are at one moment to two
    /// new files; the VM stands still meanwhile and is as before afterwards. Without `state` only
    /// the disk is copied, as after a power cut.
    async fn snapshot(
        &self,
        machine: &MachineFiles,
        state: Option<&Path>,
        disk: &Path,
    ) -> Result<(), DriverError>;

    /// Grows the disk and the file system of a running VM to `size_mib`.
    async fn grow_disk(&self, machine: &MachineFiles, size_mib: u64) -> Result<(), DriverError>;

    /// Gives the API of a running VM another identity; open streams go on.
    async fn load_identity(
        &self,
        machine: &MachineFiles,
        identity: &boot::TlsIdentity,
    ) -> Result<(), DriverError>;
}

/// Where a machine's files lie; all that is needed to find a running one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineFiles {
    pub name: String,
    /// The machine's own directory (0700). The driver keeps sockets, locks, pid files and
    /// `console.log` here.
    pub directory: PathBuf,
}

/// All that is needed to run a VM. Files are already verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmSpec {
    pub machine: MachineFiles,
    pub cpus: u32,
    pub memory_mib: u64,
    /// A qcow2 file; it is grown to `disk_size_mib` before the guest runs, never shrunk.
    pub disk: PathBuf,
    pub disk_size_mib: u64,
    /// An uncompressed kernel (ELF with a PVH note on x86_64, Image on arm64).
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
    /// The JSON of [`boot::BootContract`], mode 0600.
    pub boot_contract: PathBuf,
    /// Ports on 127.0.0.1 that lead to the guest's API and SSH ports.
    pub api_port: u16,
    pub ssh_port: u16,
    pub acceleration: Acceleration,
    /// PEM files with which readiness is proved.
    pub ca_certificate: PathBuf,
    pub client_certificate: PathBuf,
    pub client_key: PathBuf,
    /// What `Acceleration::Auto` found on this host is remembered here.
    pub host_facts: PathBuf,
    /// What [`Driver::suspend`] or [`Driver::snapshot`] wrote: the VM goes on from there instead
    /// of booting. The file is removed before the first instruction runs, because from then on it
    /// no longer fits the disk.
    pub resume_from: Option<PathBuf>,
    /// Bound of each phase of the start.
    pub timeout: Duration,
}

/// Who executes the guest's instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Acceleration {
    /// The best that really works on this host.
    #[default]
    Auto,
    /// Linux KVM, or fail.
    Kvm,
    /// macOS Hypervisor.framework, or fail.
    Hvf,
    /// Plain emulation.
    Tcg,
}

/// How to end a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stop {
    /// The guest shuts down by itself; killed when it has not after this time.
    Gracefully(Duration),
    /// Power off hard.
    Kill,
}

/// A started VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    pub acceleration: Acceleration,
    /// How long what took, in order: (`certificates`, `disk`, `qemu`, `kernel`, `init`, `api`, …).
    pub timings: Vec<(String, Duration)>,
}

/// What is true of a VM now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observed {
    Stopped,
    /// QEMU runs, the API has not answered yet.
    Starting,
    Running,
    Paused,
    Stopping,
    /// QEMU runs but does not answer, or its supervisor died half-way.
    Unresponsive,
}

/// Told while something takes its time.
pub trait Progress: Send + Sync {
    /// A new step, as a short sentence in the present tense (`booting the guest`).
    fn step(&self, text: &str);
    /// Something the user should know although it works.
    fn warning(&self, text: &str);
}

/// For what nobody waits to hear.
pub(crate) struct Unheard;

impl Progress for Unheard {
    fn step(&self, _text: &str) {}
    fn warning(&self, _text: &str) {}
}

/// Why a VM could not be started, stopped or observed.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// `qemu-system-…` is not there.
    #[error("{program} was not found")]
    QemuMissing { program: String },
    #[error("QEMU {found} is too old, {needed} or newer is needed")]
    QemuTooOld { found: String, needed: String },
    #[error("{wanted} does not work on this host: {reason}")]
    AccelerationUnusable { wanted: String, reason: String },
    /// Something listens on a port of this machine.
    #[error("port {port} on 127.0.0.1 is taken")]
    PortTaken { port: u16 },
    #[error("{wanted_mib} MiB of memory are not available, {available_mib} MiB are")]
    NotEnoughMemory { wanted_mib: u64, available_mib: u64 },
    /// Another command is at it.
    #[error("machine {name} is busy")]
    Busy { name: String },
    /// The VM runs, but its supervisor is gone.
    #[error("machine {name} has lost its supervisor")]
    Unsupervised { name: String },
    /// A saved state was written by something else than what would read it now.
    #[error("the saved state does not fit: {reason}")]
    StateMismatch { reason: String },
    /// QEMU or the guest died; the console's last lines are for the user's eyes.
    #[error("the machine ended while {phase}: {reason}")]
    Died { phase: String, reason: String, console: Vec<String> },
    #[error("no answer within {seconds} s while {phase}")]
    Timeout { phase: String, seconds: u64, console: Vec<String> },
    #[error("{action}")]
    System {
        action: String,
        #[source]
        source: std::io::Error,
    },
    /// Said by QEMU or the supervisor.
    #[error("{0}")]
    Failed(String),
}
