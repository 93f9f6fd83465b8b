//! The port behind which containers get addresses and published ports.

use std::net::IpAddr;
use std::path::PathBuf;

use async_trait::async_trait;

use crate::error::Result;

/// Gives containers a network namespace on the default bridge.
#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// Makes a namespace with an interface `eth0` on the bridge, an address and a default route.
    /// Nothing is left behind on an error.
    async fn attach(&self, request: AttachRequest) -> Result<Endpoint>;

    /// A namespace with nothing but `lo` (`--network none`).
    async fn isolate(&self, container: &str) -> Result<PathBuf>;

    /// Publishes ports of an attached container, all or none. An occupied port is `Internal` with
    /// dockerd's text `Bind for 127.0.0.1:80 failed: port is already allocated`.
    async fn publish(&self, container: &str, ports: Vec<PublishRequest>) -> Result<Vec<Published>>;

    /// Takes back addresses, ports and the namespace. Succeeds when there is nothing.
    async fn detach(&self, container: &str) -> Result<()>;

    /// After a restart of the daemon: these containers still run with these endpoints; whatever
    /// else an earlier daemon made is removed.
    async fn restore(&self, running: Vec<(String, Option<Endpoint>, Vec<Published>)>)
    -> Result<()>;

    /// The lines of a resolv.conf that works inside the bridge.
    fn resolv_conf(&self) -> String;

    /// The bridge's subnet and gateway, for `network inspect`.
    fn bridge(&self) -> (String, IpAddr);
}

/// Who wants an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachRequest {
    /// 64 hex digits.
    pub container: String,
    /// Chosen by the user, or empty.
    pub mac_address: String,
    /// What the container calls its link; empty is `eth0`.
    pub interface: String,
    /// Further addresses, for the link alone.
    pub link_local: Vec<IpAddr>,
}

/// An attached container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// 64 hex digits, new at every attach.
    pub id: String,
    pub namespace: PathBuf,
    pub address: IpAddr,
    pub prefix_len: u8,
    pub gateway: IpAddr,
    pub mac_address: String,
}

/// A port to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishRequest {
    pub container_port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// As the user wrote it; empty is every address.
    pub host_ip: String,
    /// 0 is any free port.
    pub host_port: u16,
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub container_port: u16,
    pub protocol: String,
    pub host_ip: String,
    /// Never 0.
    pub host_port: u16,
}
