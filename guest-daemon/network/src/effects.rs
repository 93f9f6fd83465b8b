//! What the network does to the kernel, as a trait so that its rules are tested without one.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use async_trait::async_trait;

use crate::firewall::Forward;

/// How one container is to be connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cable {
    pub(crate) container: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: [u8; 6],
    /// Its name inside.
    pub(crate) interface: String,
    /// Further addresses.
    pub(crate) link_local: Vec<IpAddr>,
}

/// The effects on namespaces, links and the firewall.
#[async_trait]
pub(crate) trait Effects: Send + Sync {
    /// Makes a namespace with `lo` up and, with a cable, a link to the bridge. May leave parts
    /// behind on an error; [`Effects::remove`] takes them away.
    async fn create(&self, container: &str, cable: Option<Cable>) -> io::Result<PathBuf>;

    /// Removes namespace and cable. Succeeds when there are none.
    async fn remove(&self, container: &str) -> io::Result<()>;

    /// The containers that have a namespace.
    async fn containers(&self) -> io::Result<Vec<String>>;

    /// Replaces the firewall's table.
    async fn set_firewall(&self, forwards: Vec<Forward>) -> io::Result<()>;
}
