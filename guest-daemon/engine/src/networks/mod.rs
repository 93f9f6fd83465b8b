//! The networks that always exist: `bridge`, `host` and `none`.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine_store::Store;

use crate::blocking::blocking;
use crate::containers::Registry;
use crate::error::{Error, Result};
use crate::filters;
use crate::ids;
use crate::ports::Network;

const FILTERS: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];

/// The service over networks.
#[derive(Clone)]
pub struct Networks {
    registry: Registry,
    network: Arc<dyn Network>,
    fixed: Arc<[Fixed; 3]>,
}

/// A network that nobody made and nobody can remove.
#[derive(Debug)]
struct Fixed {
    id: String,
    name: &'static str,
    driver: &'static str,
    created: i128,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkView {
    pub id: String,
    pub name: String,
    /// Nanoseconds since 1970.
    pub created: i128,
    /// `bridge`, `host` or `null`.
    pub driver: String,
    pub subnet: String,
    pub gateway: String,
    pub options: BTreeMap<String, String>,
    /// By container id.
    pub containers: BTreeMap<String, NetworkMember>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkMember {
    pub name: String,
    pub endpoint_id: String,
    pub mac_address: String,
    /// With its prefix length.
    pub ipv4_address: String,
}

impl Networks {
    /// Ids are made once and kept on the data disk.
    pub(crate) async fn open(
        store: Store,
        registry: Registry,
        network: Arc<dyn Network>,
        now: i128,
    ) -> Result<Self> {
        let (bridge, host, none) = blocking(move || {
            let id = |name: &str| {
                let fact = format!("network-{name}");
                match store.fact(&fact)? {
                    Some(id) => Ok(id),
                    None => {
                        let id = ids::new_id();
                        store.put_fact(&fact, &id).map(|()| id)
                    }
                }
            };
            Ok((id("bridge")?, id("host")?, id("none")?))
        })
        .await?;
        let fixed = Arc::new([
            Fixed { id: bridge, name: "bridge", driver: "bridge", created: now },
            Fixed { id: host, name: "host", driver: "host", created: now },
            Fixed { id: none, name: "none", driver: "null", created: now },
        ]);
        Ok(Self { registry, network, fixed })
    }

    /// Ids by name.
    pub(crate) fn ids(&self) -> BTreeMap<String, String> {
        self.fixed.iter().map(|network| (network.name.to_owned(), network.id.clone())).collect()
    }

    pub fn list(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Vec<NetworkView>> {
        filters::check(filters, &FILTERS)?;
        let kinds = filters.get("type").map(Vec::as_slice).unwrap_or_default();
        if let Some(odd) = kinds.iter().find(|kind| !["builtin", "custom"].contains(&kind.as_str()))
        {
            return Err(Error::invalid(format!("invalid filter: 'type'='{odd}'")));
        }
        if filters::truth(filters, "dangling")? == Some(true) {
            // These three are never dangling.
            return Ok(Vec::new());
        }
        let none = BTreeMap::new();
        Ok(self
            .fixed
            .iter()
            .filter(|network| {
                filters::any(filters, "name", |name| network.name.contains(name))
                    && filters::any(filters, "id", |id| network.id.starts_with(id))
                    && filters::any(filters, "driver", |driver| driver == network.driver)
                    && filters::any(filters, "scope", |scope| scope == "local")
                    && filters::any(filters, "type", |kind| kind == "builtin")
                    && filters::labels(filters, "label", &none)
            })
            .map(|network| self.show(network))
            .collect())
    }

    /// By name, id or unique prefix.
    pub fn inspect(&self, reference: &str) -> Result<NetworkView> {
        let missing = || Error::not_found(format!("network {reference} not found"));
        if let Some(network) =
            self.fixed.iter().find(|network| network.name == reference || network.id == reference)
        {
            return Ok(self.show(network));
        }
        let mut found = self
            .fixed
            .iter()
            .filter(|network| !reference.is_empty() && network.id.starts_with(reference));
        match (found.next(), found.next()) {
            (Some(network), None) => Ok(self.show(network)),
            (Some(_), Some(_)) => Err(Error::invalid(format!(
                "network {reference} is ambiguous (2 matches found based on ID prefix)"
            ))),
            (None, _) => Err(missing()),
        }
    }

    fn show(&self, network: &Fixed) -> NetworkView {
        let mut view = NetworkView {
            id: network.id.clone(),
            name: network.name.to_owned(),
            created: network.created,
            driver: network.driver.to_owned(),
            ..NetworkView::default()
        };
        if network.driver == "bridge" {
            let (subnet, gateway) = self.network.bridge();
            view.subnet = subnet;
            view.gateway = gateway.to_string();
            view.options = bridge_options();
        }
        for snapshot in self.registry.snapshots() {
            let container = &snapshot.container;
            if !snapshot.is_running() || !container.networks.contains_key(network.name) {
                continue;
            }
            let mut member =
                NetworkMember { name: container.name.clone(), ..NetworkMember::default() };
            if let Some(endpoint) = &snapshot.endpoint {
                member.endpoint_id.clone_from(&endpoint.id);
                member.mac_address.clone_from(&endpoint.mac_address);
                member.ipv4_address = format!("{}/{}", endpoint.address, endpoint.prefix_len);
            }
            view.containers.insert(container.id.clone(), member);
        }
        view
    }
}

fn bridge_options() -> BTreeMap<String, String> {
    [
        ("com.docker.network.bridge.default_bridge", "true"),
        ("com.docker.network.bridge.enable_icc", "true"),
        ("com.docker.network.bridge.enable_ip_masquerade", "true"),
        ("com.docker.network.bridge.host_binding_ipv4", "0.0.0.0"),
        ("com.docker.network.bridge.name", "docker0"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

impl std::fmt::Debug for Networks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Networks").field("fixed", &self.fixed).finish_non_exhaustive()
    }
}
