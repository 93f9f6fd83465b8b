//! Sending what containers say to a syslog daemon, here or elsewhere.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::error::Result;

/// Reaches syslog daemons.
#[async_trait]
pub trait Syslog: Send + Sync + 'static {
    /// Fails in the words of Go's `net.Dial`.
    async fn connect(&self, target: &SyslogTarget) -> Result<Box<dyn SyslogConnection>>;
}

/// A way to one of them.
#[async_trait]
pub trait SyslogConnection: Send + 'static {
    /// Sends one message, which is framed already.
    async fn send(&mut self, message: &[u8]) -> Result<()>;

    /// Waits for what was sent to arrive, as far as that can be known.
    async fn close(self: Box<Self>) {}
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogTarget {
    pub address: SyslogAddress,
    pub tls: SyslogTls,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// The socket that syslog daemons usually have.
    Local,
    Unix(PathBuf),
    UnixDatagram(PathBuf),
    /// `host:port`, as the others.
    Udp(String),
    Tcp(String),
    Tls(String),
}

/// PEM files of the guest; empty paths for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyslogTls {
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whoever answers is believed.
    pub unverified: bool,
}
