//! The contract between host and guest: what the host hands over at boot, and the
//! lines the two exchange afterwards. Types only; both sides are always of one version.
//!
//! **Invariant:** nothing here touches a file, a device or a clock.

use serde::{Deserialize, Serialize};

/// The fw_cfg file that carries the [`BootContract`] as JSON. QEMU shows it to the guest's root
/// only, so no secret ever lies on a disk image.
pub const FW_CFG_NAME: &str = "opt/org.machine/boot";

/// Where Linux's fw_cfg driver shows that file.
pub const FW_CFG_PATH: &str = "/sys/firmware/qemu_fw_cfg/by_name/opt/org.machine/boot/raw";

/// The virtio-serial port on which [`GuestMessage`] and [`HostMessage`] travel, one JSON object a
/// line.
pub const CONTROL_PORT: &str = "org.machine.control.0";

/// The virtio-serial port of the QEMU guest agent protocol.
pub const AGENT_PORT: &str = "org.qemu.guest_agent.0";

/// The port in the guest on which the Docker API listens (TLS, client certificate required).
pub const API_PORT: u16 = 2376;

/// The port in the guest on which the SSH server listens.
pub const SSH_PORT: u16 = 22;

/// The version of everything in this crate. A guest refuses a contract of another version.
pub const CONTRACT_VERSION: u32 = 2;

/// The organizational unit (OU) in the subject of a client certificate that may only look. A
/// certificate without a unit may do everything.
pub const VIEWER_UNIT: &str = "viewer";

/// What a guest is told before its first process does anything.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct BootContract {
    /// Always [`CONTRACT_VERSION`].
    pub version: u32,
    /// The machine's name; also the guest's host name.
    pub machine: String,
    /// A UUID that stays with the machine, also under another name; a copy has another one.
    pub id: String,
    /// The daemon's identity.
    pub tls: TlsIdentity,
    /// The SSH server's identity and who may log in.
    pub ssh: SshIdentity,
    /// Options of the container engine.
    #[serde(default)]
    pub engine: EngineOptions,
}

/// PEM documents of the API server.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct TlsIdentity {
    /// The CA whose client certificates are accepted.
    pub ca_certificate: String,
    /// The server's certificate chain.
    pub certificate: String,
    /// The server's private key (PKCS#8).
    pub private_key: String,
}

/// Keys of the SSH server.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct SshIdentity {
    /// The server's private key, OpenSSH PEM.
    pub host_key: String,
    /// Public keys that may log in, one OpenSSH line each.
    pub authorized_keys: Vec<String>,
}

/// Options of the container engine, as `machine create --engine-…` gives them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct EngineOptions {
    /// `KEY=VALUE`, shown by `docker info`.
    #[serde(default)]
    pub labels: Vec<String>,
    /// `KEY=VALUE` each: variables of the daemon's environment, such as `HTTPS_PROXY`.
    #[serde(default)]
    pub env: Vec<String>,
    /// Registries (`HOST[:PORT]` or CIDR) that are spoken to without TLS or without checking it.
    #[serde(default)]
    pub insecure_registries: Vec<String>,
    /// URLs that are asked before Docker Hub.
    #[serde(default)]
    pub registry_mirrors: Vec<String>,
    /// What `--engine-storage-driver` says; there is one, `overlay2`.
    #[serde(default)]
    pub storage_driver: Option<String>,
    /// dockerd's options without their dashes: `KEY=VALUE`, or `KEY` alone.
    #[serde(default)]
    pub options: Vec<String>,
}

impl std::fmt::Debug for BootContract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BootContract").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SshIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshIdentity").finish_non_exhaustive()
    }
}

/// A line from the guest to the host's supervisor.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum GuestMessage {
    /// The API listens. Sent again whenever the daemon has started anew.
    Ready {
        /// The daemon's version.
        version: String,
        /// When what happened, in microseconds of the guest's monotonic clock.
        timings: BootTimings,
    },
    /// Please forward a port of the host to the same number in the guest. Answered by
    /// [`HostMessage::Published`] with the same `id`.
    Publish {
        /// Chosen by the guest, unique among its open requests.
        id: u64,
        /// What to forward. `host_port` 0 means: choose a free one.
        forward: Forward,
    },
    /// Please stop forwarding it. Answered by [`HostMessage::Unpublished`].
    Unpublish {
        /// Chosen by the guest.
        id: u64,
        /// What was forwarded.
        forward: Forward,
    },
    /// Nothing that an earlier daemon published is needed any more, except these. Sent after
    /// [`GuestMessage::Ready`], so that host and guest agree after a restart of either.
    Forwards {
        /// All that is published now.
        forwards: Vec<Forward>,
    },
    /// New connections are answered with the new identity, or why the old one stays.
    IdentityLoaded {
        /// The request's.
        id: u64,
        /// Nothing, or a text.
        result: Result<(), String>,
    },
    /// The file system fills its disk, or why not.
    DiskGrown {
        /// The request's.
        id: u64,
        /// The file system's size in bytes, or a text.
        result: Result<u64, String>,
    },
}

/// A line from the host's supervisor to the guest.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum HostMessage {
    /// The host port that is forwarded now, or why there is none.
    Published {
        /// The request's.
        id: u64,
        /// The host port, or a text such as `port is already allocated`.
        result: Result<u16, String>,
    },
    /// The forward is gone, or why not.
    Unpublished {
        /// The request's.
        id: u64,
        /// Nothing, or a text.
        result: Result<(), String>,
    },
    /// Please use this identity for new connections; open ones go on. Answered by
    /// [`GuestMessage::IdentityLoaded`].
    LoadIdentity {
        /// Chosen by the host, unique among its open requests.
        id: u64,
        /// The new identity.
        tls: TlsIdentity,
    },
    /// A host is there that knows nothing of this guest: one that has taken over a running VM, or
    /// gone on with a suspended one. Answered by [`GuestMessage::Ready`] and
    /// [`GuestMessage::Forwards`] as soon as the API listens; the guest need not have noticed that
    /// the port was closed meanwhile. An empty line before it ends whatever an earlier host began.
    Hello,
    /// The data disk has grown, please grow the file system on it. Answered by
    /// [`GuestMessage::DiskGrown`].
    GrowDisk {
        /// Chosen by the host.
        id: u64,
    },
}

/// One forwarded port: `host_ip:host_port` on the host leads to `guest_port` of the guest.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq, Hash)]
pub struct Forward {
    /// `tcp` or `udp`.
    pub protocol: Protocol,
    /// The address on the host as the user wrote it; empty means every address the product
    /// publishes on, which is 127.0.0.1.
    pub host_ip: String,
    /// 0 asks for any free port.
    pub host_port: u16,
    /// The port in the guest; 0 means: the same as the host port.
    pub guest_port: u16,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Moments of a boot in microseconds of the guest's monotonic clock (kernel entry is 0).
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct BootTimings {
    /// PID 1 began.
    pub init_start: u64,
    /// The data disk was mounted.
    pub disk_mounted: u64,
    /// The daemon's `main` began.
    pub daemon_start: u64,
    /// The API listened.
    pub api_listening: u64,
}
