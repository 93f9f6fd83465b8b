//! Links, addresses, routes and namespaces, set with route netlink.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures::{TryFutureExt, TryStreamExt, try_join};
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth};
use rtnetlink::{
    Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder,
};
use tokio::sync::OnceCell;

use crate::Options;
use crate::addresses::{BRIDGE, GATEWAY, PREFIX_LEN, is_id, mac_of, veth_name};
use crate::effects::{Cable, Effects};
use crate::firewall::{self, Forward};
use crate::namespaces;

/// The lengths of the prefixes of links' own addresses.
const LINK_LOCAL_V4: u8 = 16;
const LINK_LOCAL_V6: u8 = 64;

/// The index that `lo` has in every namespace.
const LOOPBACK_INDEX: u32 = 1;

/// The kernel, and the directory of namespaces.
#[derive(Debug)]
pub(crate) struct Kernel {
    namespaces: PathBuf,
    options: Options,
    bridge: OnceCell<Bridge>,
}

#[derive(Clone, Debug)]
struct Bridge {
    handle: Handle,
    index: u32,
    mtu: u32,
}

impl Kernel {
    pub(crate) fn new(namespaces: PathBuf, options: Options) -> Self {
        Self { namespaces, options, bridge: OnceCell::new() }
    }

    fn namespace(&self, container: &str) -> io::Result<PathBuf> {
        if !is_id(container) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a container's id"));
        }
        Ok(self.namespaces.join(container))
    }

    /// The bridge, which is made when it is first needed.
    async fn bridge(&self) -> io::Result<&Bridge> {
        self.bridge.get_or_try_init(|| make_bridge(self.options.mtu)).await
    }
}

#[async_trait]
impl Effects for Kernel {
    async fn create(&self, container: &str, cable: Option<Cable>) -> io::Result<PathBuf> {
        let path = self.namespace(container)?;
        std::fs::create_dir_all(&self.namespaces)?;
        // Joined: the bridge is made only once, and each alone takes a few round trips.
        let namespace = namespaces::create(path.clone());
        match cable {
            None => connect_inside(&namespace.await?.1, None).await?,
            Some(cable) => {
                let bridge = self.bridge().await?;
                let (fd, inside) = namespace.await?;
                connect(bridge, &fd, &cable).await?;
                connect_inside(&inside, Some(&cable)).await?;
            }
        }
        Ok(path)
    }

    async fn remove(&self, container: &str) -> io::Result<()> {
        let path = self.namespace(container)?;
        // A cable has its name only after the file is there.
        if !path.exists() {
            return Ok(());
        }
        // The cable goes first: a process that still holds the namespace must not keep the address.
        if let Ok(bridge) = self.bridge().await {
            delete_link(&bridge.handle, &veth_name(container)).await?;
        }
        tokio::task::spawn_blocking(move || namespaces::remove(&path)).await?
    }

    async fn containers(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let mut entries = match tokio::fs::read_dir(&self.namespaces).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(error),
        };
        while let Some(entry) = entries.next_entry().await? {
            if let Ok(name) = entry.file_name().into_string() {
                found.push(name);
            }
        }
        Ok(found)
    }

    async fn set_firewall(&self, forwards: Vec<Forward>) -> io::Result<()> {
        let host_gateway = self.options.host_gateway;
        tokio::task::spawn_blocking(move || firewall::apply(&forwards, host_gateway)).await?
    }
}

async fn make_bridge(wanted_mtu: Option<u32>) -> io::Result<Bridge> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    let mtu = tokio::task::spawn_blocking(move || {
        set_guest_wide()?;
        Ok::<_, io::Error>(wanted_mtu.unwrap_or_else(uplink_mtu))
    })
    .await??;
    if index_of(&handle, BRIDGE).await?.is_none() {
        // A fixed hardware address: by itself the bridge takes a new one with every cable.
        let link = LinkMessageBuilder::<LinkBridge>::new_with_info_kind(InfoKind::Bridge)
            .name(BRIDGE)
            .address(mac_of(GATEWAY).to_vec())
            .mtu(mtu)
            .up()
            .build();
        handle.link().add(link).execute().await.map_err(netlink_error)?;
    }
    let index = index_of(&handle, BRIDGE)
        .await?
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the bridge vanished"))?;
    handle
        .address()
        .add(index, GATEWAY.into(), PREFIX_LEN)
        .replace()
        .execute()
        .await
        .map_err(netlink_error)?;
    Ok(Bridge { handle, index, mtu })
}

/// Settings of the guest's own namespace that containers need.
fn set_guest_wide() -> io::Result<()> {
    set("net/ipv4/ip_forward", "1")?;
    // New links belong to containers: none of them may tell the guest about IPv6 routers.
    for setting in ["net/ipv6/conf/default/accept_ra", "net/ipv6/conf/default/disable_ipv6"] {
        let value = if setting.ends_with("accept_ra") { "0" } else { "1" };
        ignore_missing(set(setting, value))?;
    }
    // Frames between containers do not pass the firewall of routed packets.
    ignore_missing(set("net/bridge/bridge-nf-call-iptables", "0"))?;
    ignore_missing(set("net/bridge/bridge-nf-call-ip6tables", "0"))
}

fn set(setting: &str, value: &str) -> io::Result<()> {
    std::fs::write(Path::new("/proc/sys").join(setting), value)
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The MTU of the interface that has the default route.
fn uplink_mtu() -> u32 {
    const ETHERNET: u32 = 1500;
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    default_interface(&routes)
        .and_then(|name| std::fs::read_to_string(format!("/sys/class/net/{name}/mtu")).ok())
        .and_then(|mtu| mtu.trim().parse().ok())
        .unwrap_or(ETHERNET)
}

fn default_interface(routes: &str) -> Option<&str> {
    routes.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        let name = fields.next()?;
        (fields.next() == Some("00000000")).then_some(name)
    })
}

/// Makes the pair of links, one end on the bridge, the other in the namespace.
async fn connect(bridge: &Bridge, namespace: &OwnedFd, cable: &Cable) -> io::Result<()> {
    let inner = LinkUnspec::new_with_name(&cable.interface)
        .address(cable.mac.to_vec())
        .mtu(bridge.mtu)
        .setns_by_fd(namespace.as_fd().as_raw_fd())
        .build();
    let name = veth_name(&cable.container);
    let pair = LinkVeth::new(&name, &cable.interface)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(inner)))
        .mtu(bridge.mtu)
        .controller(bridge.index)
        .up()
        .build();
    bridge.handle.link().add(pair).execute().await.map_err(netlink_error)
}

/// Brings up what is in the namespace.
async fn connect_inside(inside: &Handle, cable: Option<&Cable>) -> io::Result<()> {
    let Some(cable) = cable else { return bring_up(inside, LOOPBACK_INDEX).await };
    // Asked at once and done in this order: each answer alone would be a wait.
    let ((), index) =
        try_join!(bring_up(inside, LOOPBACK_INDEX), index_of(inside, &cable.interface))?;
    let index = index.ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, "the link is not in the namespace")
    })?;
    let address = inside.address().add(index, cable.address.into(), PREFIX_LEN);
    let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway(GATEWAY).build();
    try_join!(
        address.execute().map_err(netlink_error),
        bring_up(inside, index),
        inside.route().add(route).execute().map_err(netlink_error),
    )?;
    for address in &cable.link_local {
        let length = if address.is_ipv4() { LINK_LOCAL_V4 } else { LINK_LOCAL_V6 };
        let add = inside.address().add(index, *address, length).execute();
        add.await.map_err(netlink_error)?;
    }
    Ok(())
}

async fn bring_up(handle: &Handle, index: u32) -> io::Result<()> {
    let link = LinkUnspec::new_with_index(index).up().build();
    handle.link().set(link).execute().await.map_err(netlink_error)
}

async fn index_of(handle: &Handle, name: &str) -> io::Result<Option<u32>> {
    let mut links = std::pin::pin!(handle.link().get().match_name(name).execute());
    match links.try_next().await {
        Ok(link) => Ok(link.map(|link| link.header.index)),
        Err(error) => {
            let error = netlink_error(error);
            if is_no_device(&error) { Ok(None) } else { Err(error) }
        }
    }
}

async fn delete_link(handle: &Handle, name: &str) -> io::Result<()> {
    let Some(index) = index_of(handle, name).await? else { return Ok(()) };
    match handle.link().del(index).execute().await.map_err(netlink_error) {
        Err(error) if !is_no_device(&error) => Err(error),
        _ => Ok(()),
    }
}

fn is_no_device(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::errno::Errno::ENODEV as i32)
}

fn netlink_error(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uplink_has_the_default_route() {
        let routes = "Iface\tDestination\tGateway\tFlags\n\
                      docker0\t000011AC\t00000000\t0001\n\
                      eth0\t00000000\t0202000A\t0003\n";
        assert_eq!(default_interface(routes), Some("eth0"));
        assert_eq!(default_interface("Iface\tDestination\n"), None);
    }
}
