//! A bridge in memory.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::error::{Error, Kind, Result};
use crate::ports::{AttachRequest, Endpoint, Network, PublishRequest, Published};

/// Gives out 172.17.0.2 and so on, and host ports from 49153.
#[derive(Debug, Default)]
pub struct FakeNetwork {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    addresses: BTreeMap<String, u8>,
    published: BTreeMap<String, Vec<Published>>,
    endpoints: u64,
}

impl FakeNetwork {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// The containers that have an address or a namespace now.
    pub fn attached(&self) -> Vec<String> {
        self.state().addresses.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Network for FakeNetwork {
    async fn attach(&self, request: AttachRequest) -> Result<Endpoint> {
        let mut state = self.state();
        let number = (2..=254)
            .find(|number| !state.addresses.values().any(|used| used == number))
            .ok_or_else(|| Error::new(Kind::Unavailable, "no available IPv4 addresses"))?;
        state.endpoints += 1;
        let id = format!("{:064x}", state.endpoints);
        state.addresses.insert(request.container.clone(), number);
        let mac_address = if request.mac_address.is_empty() {
            format!("02:42:ac:11:00:{number:02x}")
        } else {
            request.mac_address
        };
        Ok(Endpoint {
            id,
            namespace: PathBuf::from(format!("/run/netns/{}", request.container)),
            address: IpAddr::V4(Ipv4Addr::new(172, 17, 0, number)),
            prefix_len: 16,
            gateway: IpAddr::V4(Ipv4Addr::new(172, 17, 0, 1)),
            mac_address,
        })
    }

    async fn isolate(&self, container: &str) -> Result<PathBuf> {
        Ok(PathBuf::from(format!("/run/netns/{container}")))
    }

    async fn publish(&self, container: &str, ports: Vec<PublishRequest>) -> Result<Vec<Published>> {
        let mut state = self.state();
        let mut taken: Vec<u16> =
            state.published.values().flatten().map(|port| port.host_port).collect();
        let mut published = Vec::new();
        for port in ports {
            let host_ip = if port.host_ip.is_empty() { "0.0.0.0".to_owned() } else { port.host_ip };
            let host_port = match port.host_port {
                0 => (49153..=u16::MAX)
                    .find(|number| !taken.contains(number))
                    .ok_or_else(|| Error::new(Kind::Unavailable, "no free port"))?,
                number if taken.contains(&number) => {
                    return Err(Error::new(
                        Kind::Internal,
                        format!("Bind for {host_ip}:{number} failed: port is already allocated"),
                    ));
                }
                number => number,
            };
            taken.push(host_port);
            published.push(Published {
                container_port: port.container_port,
                protocol: port.protocol,
                host_ip,
                host_port,
            });
        }
        state.published.insert(container.to_owned(), published.clone());
        Ok(published)
    }

    async fn detach(&self, container: &str) -> Result<()> {
        let mut state = self.state();
        state.addresses.remove(container);
        state.published.remove(container);
        Ok(())
    }

    async fn restore(
        &self,
        running: Vec<(String, Option<Endpoint>, Vec<Published>)>,
    ) -> Result<()> {
        let mut state = self.state();
        state.addresses.clear();
        state.published.clear();
        for (container, endpoint, published) in running {
            if let Some(Endpoint { address: IpAddr::V4(address), .. }) = endpoint {
                state.addresses.insert(container.clone(), address.octets()[3]);
            }
            state.published.insert(container, published);
        }
        Ok(())
    }

    fn resolv_conf(&self) -> String {
        "nameserver 172.17.0.1\n".to_owned()
    }

    fn bridge(&self) -> (String, IpAddr) {
        ("172.17.0.0/16".to_owned(), IpAddr::V4(Ipv4Addr::new(172, 17, 0, 1)))
    }
}
