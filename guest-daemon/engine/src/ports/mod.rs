//! What the engine needs from the system, as traits: one adapter each, and fakes in tests.

mod devices;
#[cfg(any(test, feature = "fakes"))]
pub mod fakes;
mod files;
mod namespaces;
mod network;
mod processes;
mod registry;
mod runtime;
mod syslog;
mod usage;
mod volumes;

pub use devices::{
    Device, DeviceAccess, DeviceKind, DeviceRule, DeviceWeight, Throttle, Throttled,
};
pub use files::{ContainerFiles, FilesMount, FilesSpec};
pub use namespaces::{NamespaceMode, SharedMemory, UserMap};
pub use network::{AttachRequest, Endpoint, Network, PublishRequest, Published};
pub use processes::{Listed, ProcessEntry, Signals};
pub use registry::{
    Access, Content, Credentials, Descriptor, Download, Found, IndexEntry, Manifest, Outgoing,
    Platform, Registry, Repository, Waiting,
};
pub use runtime::{
    Cgroup, ContainerSpec, ExecSpec, ExitStatus, Identity, ImageFiles, Mount, OutputPipe, Process,
    ProcessId, ProcessInput, ProcessIo, Recovered, RootFilesystem, Runtime, Seccomp, StdioKind,
    TerminalSize,
};
pub use syslog::{Syslog, SyslogAddress, SyslogConnection, SyslogTarget, SyslogTls};
pub use usage::{CpuUsage, DeviceUsage, InterfaceUsage, MemoryUsage, Traffic, Usage};
pub use volumes::VolumeMount;
