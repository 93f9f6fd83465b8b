//! What the network asks of the machine's host: to forward ports.

use async_trait::async_trait;

/// Forwards ports of the host into the guest.
#[async_trait]
pub trait HostForwarder: Send + Sync {
    /// Forwards `host_ip:host_port` to `guest_port` and returns the host port, which the host
    /// chooses when `host_port` is 0. `guest_port` 0 means: the same as the host port.
    /// An empty `host_ip` is every address the product publishes on.
    async fn publish(
        &self,
        protocol: &str,
        host_ip: &str,
        host_port: u16,
        guest_port: u16,
    ) -> Result<u16, String>;

    /// Ends a forward. Succeeds when there is none.
    async fn unpublish(
        &self,
        protocol: &str,
        host_ip: &str,
        host_port: u16,
        guest_port: u16,
    ) -> Result<(), String>;
}
