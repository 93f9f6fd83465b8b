//! The default bridge: who is attached with which address and which published ports.

mod books;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use engine::error::{Error, Kind, Result};
use engine::ports::{AttachRequest, Endpoint, Network, PublishRequest, Published};
use tokio::task::JoinHandle;

use crate::Options;
use crate::addresses::{self, GATEWAY, NETWORK, PREFIX_LEN};
use crate::effects::{Cable, Effects};
use crate::forward::HostForwarder;
use crate::links::Kernel;
use crate::ports::{Protocol, guest_port, occupied, published};
use crate::resolver;
use books::{Attached, State};

/// What a container calls its link.
const INTERFACE: &str = "eth0";

/// Containers on a bridge with NAT, ports published through the host.
pub struct BridgeNetwork {
    forwarder: Arc<dyn HostForwarder>,
    effects: Arc<dyn Effects>,
    state: Arc<Mutex<State>>,
    /// Containers whose links are being taken away; the kernel takes its time about that.
    leaving: Mutex<BTreeMap<String, JoinHandle<()>>>,
    /// Held while the firewall is replaced, so that the last one to replace it saw every change.
    firewall: tokio::sync::Mutex<Firewall>,
}

/// Whether this daemon has set the firewall at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Firewall {
    #[default]
    Unknown,
    Set,
}

impl std::fmt::Debug for BridgeNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BridgeNetwork").field("state", &self.state).finish_non_exhaustive()
    }
}

impl BridgeNetwork {
    /// Keeps its namespaces in `state_root`, a directory that does not outlive the guest's boot.
    pub fn new(forwarder: Arc<dyn HostForwarder>, state_root: PathBuf, options: Options) -> Self {
        Self::with_effects(forwarder, Box::new(Kernel::new(state_root, options)))
    }

    pub(crate) fn with_effects(
        forwarder: Arc<dyn HostForwarder>,
        effects: Box<dyn Effects>,
    ) -> Self {
        Self {
            forwarder,
            effects: effects.into(),
            state: Arc::default(),
            leaving: Mutex::default(),
            firewall: tokio::sync::Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// Waits until a container that is leaving has left.
    async fn let_leave(&self, container: &str) {
        let leaving = locked(&self.leaving).remove(container);
        if let Some(leaving) = leaving
            && let Err(error) = leaving.await
        {
            tracing::error!(container, %error, "a task of the network was lost");
        }
    }

    /// Takes namespace and cable away. The address is nobody else's before they are gone.
    fn begin_leaving(&self, container: &str, address: Option<Ipv4Addr>) {
        let (effects, state) = (Arc::clone(&self.effects), Arc::clone(&self.state));
        let name = container.to_owned();
        let removal = tokio::spawn(async move {
            // What stays after an error is removed before the container is attached again, and by
            // the next daemon.
            if let Err(error) = effects.remove(&name).await {
                tracing::warn!(container = name, %error, "an old network namespace stays");
            }
            locked(&state).release(address);
        });
        let mut leaving = locked(&self.leaving);
        leaving.retain(|_, removal| !removal.is_finished());
        leaving.insert(container.to_owned(), removal);
    }

    /// Enters a container, with an address if it wants one.
    fn reserve(&self, container: &str, wants_address: bool) -> Result<Option<Ipv4Addr>> {
        let mut state = self.state();
        if state.containers.contains_key(container) {
            return Err(Error::conflict(format!("container {container} is attached already")));
        }
        let address = match wants_address {
            false => None,
            true => Some(state.pool.take().ok_or_else(|| {
                Error::new(
                    Kind::Internal,
                    "no available IPv4 addresses on this network's address pools: bridge",
                )
            })?),
        };
        state.containers.insert(container.to_owned(), Attached { address, published: Vec::new() });
        Ok(address)
    }

    async fn create(&self, container: &str, cable: Option<Cable>) -> Result<PathBuf> {
        // Whatever a former run left under this id is in the way.
        let cleared = self.effects.remove(container).await;
        let created = match cleared {
            Ok(()) => self.effects.create(container, cable).await,
            Err(error) => Err(error),
        };
        match created {
            Ok(path) => Ok(path),
            Err(error) => {
                if let Err(second) = self.effects.remove(container).await {
                    tracing::warn!(container, error = %second, "a half made network namespace stays");
                }
                let mut state = self.state();
                let address = state.strike(container).and_then(|attached| attached.address);
                state.release(address);
                drop(state);
                Err(Error::internal("failed to set up container networking", error))
            }
        }
    }

    async fn replace_firewall(&self) -> Result<()> {
        let mut firewall = self.firewall.lock().await;
        self.replace_locked(&mut firewall).await
    }

    /// An attached container changes nothing in the firewall, but must not be without one.
    async fn ensure_firewall(&self) -> Result<()> {
        let mut firewall = self.firewall.lock().await;
        match *firewall {
            Firewall::Set => Ok(()),
            Firewall::Unknown => self.replace_locked(&mut firewall).await,
        }
    }

    async fn replace_locked(&self, firewall: &mut Firewall) -> Result<()> {
        let forwards = self.state().forwards();
        self.effects
            .set_firewall(forwards)
            .await
            .map_err(|error| Error::internal("failed to set the firewall", error))?;
        *firewall = Firewall::Set;
        Ok(())
    }

    /// Publishes one port on the host and enters it in the book.
    async fn publish_one(&self, container: &str, request: &PublishRequest) -> Result<Published> {
        let protocol = Protocol::parse(&request.protocol).ok_or_else(|| {
            Error::invalid(format!("invalid port protocol: {}", request.protocol))
        })?;
        let allocated = || Error::new(Kind::Internal, occupied(request));
        let fixed = request.host_port != 0;
        let wanted = guest_port(request.host_port);
        if fixed && !self.state().book.enter(protocol, wanted, container) {
            return Err(allocated());
        }
        let answer = self
            .forwarder
            .publish(&request.protocol, &request.host_ip, request.host_port, wanted)
            .await;
        match answer {
            Ok(port) if fixed || self.state().book.enter(protocol, guest_port(port), container) => {
                Ok(published(request, port))
            }
            Ok(port) => {
                self.unpublish_on_host(&published(request, port)).await;
                Err(allocated())
            }
            Err(text) => {
                if fixed {
                    self.state().book.strike(protocol, wanted);
                }
                Err(refused(request, &text))
            }
        }
    }

    async fn unpublish_on_host(&self, port: &Published) {
        let result = self
            .forwarder
            .unpublish(&port.protocol, &port.host_ip, port.host_port, guest_port(port.host_port))
            .await;
        if let Err(error) = result {
            tracing::warn!(port = port.host_port, error, "the host keeps a forwarded port");
        }
    }

    async fn take_back(&self, ports: &[Published]) {
        for port in ports {
            self.unpublish_on_host(port).await;
            if let Some(protocol) = Protocol::parse(&port.protocol) {
                self.state().book.strike(protocol, guest_port(port.host_port));
            }
        }
    }
}

#[async_trait]
impl Network for BridgeNetwork {
    async fn attach(&self, request: AttachRequest) -> Result<Endpoint> {
        let chosen = match request.mac_address.as_str() {
            "" => None,
            text => Some(
                addresses::parse_mac(text)
                    .ok_or_else(|| Error::invalid(format!("invalid MAC address: {text}")))?,
            ),
        };
        let AttachRequest { container, interface, link_local, .. } = request;
        let interface = if interface.is_empty() { INTERFACE.to_owned() } else { interface };
        self.let_leave(&container).await;
        let address = self.reserve(&container, true)?.unwrap_or(GATEWAY);
        let mac = chosen.unwrap_or_else(|| addresses::mac_of(address));
        let name = container.clone();
        let cable = Cable { container: name, address, mac, interface, link_local };
        let namespace = self.create(&container, Some(cable)).await?;
        if let Err(error) = self.ensure_firewall().await {
            self.detach(&container).await?;
            return Err(error);
        }
        Ok(Endpoint {
            id: rand::random::<[u8; 32]>().map(|byte| format!("{byte:02x}")).concat(),
            namespace,
            address: address.into(),
            prefix_len: PREFIX_LEN,
            gateway: GATEWAY.into(),
            mac_address: addresses::format_mac(mac),
        })
    }

    async fn isolate(&self, container: &str) -> Result<PathBuf> {
        self.let_leave(container).await;
        self.reserve(container, false)?;
        self.create(container, None).await
    }

    async fn publish(&self, container: &str, ports: Vec<PublishRequest>) -> Result<Vec<Published>> {
        if self.state().containers.get(container).is_none_or(|it| it.address.is_none()) {
            return Err(Error::conflict(format!("container {container} has no address")));
        }
        let mut done = Vec::new();
        for request in &ports {
            match self.publish_one(container, request).await {
                Ok(port) => done.push(port),
                Err(error) => {
                    self.take_back(&done).await;
                    return Err(error);
                }
            }
        }
        let before = match self.state().containers.get_mut(container) {
            Some(attached) => {
                let before = attached.published.len();
                attached.published.extend(done.iter().cloned());
                Some(before)
            }
            None => None,
        };
        let result = match before {
            Some(_) => self.replace_firewall().await,
            None => Err(Error::conflict(format!("container {container} was detached"))),
        };
        if let Err(error) = result {
            if let (Some(before), Some(attached)) =
                (before, self.state().containers.get_mut(container))
            {
                attached.published.truncate(before);
            }
            self.take_back(&done).await;
            return Err(error);
        }
        Ok(done)
    }

    async fn detach(&self, container: &str) -> Result<()> {
        self.let_leave(container).await;
        let struck = self.state().strike(container);
        let Some(Attached { address, published }) = struck else {
            return self
                .effects
                .remove(container)
                .await
                .map_err(|error| Error::internal("failed to remove container networking", error));
        };
        self.begin_leaving(container, address);
        for port in &published {
            self.unpublish_on_host(port).await;
        }
        if published.is_empty() { Ok(()) } else { self.replace_firewall().await }
    }

    async fn restore(
        &self,
        running: Vec<(String, Option<Endpoint>, Vec<Published>)>,
    ) -> Result<()> {
        {
            let mut state = self.state();
            for (container, endpoint, published) in running {
                let address = endpoint.and_then(|endpoint| match endpoint.address {
                    IpAddr::V4(address) => Some(address),
                    IpAddr::V6(_) => None,
                });
                if let Some(address) = address
                    && !state.pool.claim(address)
                {
                    tracing::warn!(container, %address, "an address has two users");
                }
                for port in &published {
                    if let Some(protocol) = Protocol::parse(&port.protocol) {
                        state.book.enter(protocol, guest_port(port.host_port), &container);
                    }
                }
                state.containers.insert(container, Attached { address, published });
            }
        }
        let found = self
            .effects
            .containers()
            .await
            .map_err(|error| Error::internal("failed to list network namespaces", error))?;
        for container in found {
            let kept = self.state().containers.contains_key(&container);
            if !kept && let Err(error) = self.effects.remove(&container).await {
                tracing::warn!(container, %error, "an old network namespace stays");
            }
        }
        self.replace_firewall().await
    }

    fn resolv_conf(&self) -> String {
        resolver::for_containers(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default())
    }

    fn bridge(&self) -> (String, IpAddr) {
        (format!("{NETWORK}/{PREFIX_LEN}"), GATEWAY.into())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(request: &PublishRequest, text: &str) -> Error {
    let text = match text.contains("already allocated") || text.contains("already in use") {
        true => occupied(request),
        false => format!(
            "failed to bind host port for {}:{}/{}: {text}",
            request.host_ip, request.host_port, request.protocol
        ),
    };
    Error::new(Kind::Internal, text)
}

#[cfg(test)]
mod tests;
