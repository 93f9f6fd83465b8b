//! Networks from the engine to the wire.

use engine::networks::{NetworkMember, NetworkView};
use engine_api::network::{Ipam, IpamConfig, Member, Network};

use crate::times;

pub(super) fn to_api(network: NetworkView) -> Network {
    let addresses = IpamConfig { subnet: network.subnet, gateway: network.gateway };
    Network {
        name: network.name,
        id: network.id,
        created: times::rfc3339(network.created),
        scope: "local".to_owned(),
        driver: network.driver,
        enable_ipv4: true,
        ipam: Ipam {
            driver: "default".to_owned(),
            options: None,
            config: (addresses != IpamConfig::default()).then(|| vec![addresses]),
        },
        containers: network.containers.into_iter().map(|(id, m)| (id, member(m))).collect(),
        options: network.options,
        ..Network::default()
    }
}

fn member(member: NetworkMember) -> Member {
    Member {
        name: member.name,
        endpoint_id: member.endpoint_id,
        mac_address: member.mac_address,
        ipv4_address: member.ipv4_address,
        ipv6_address: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_network_without_addresses_has_null_there() {
        let host = NetworkView {
            id: "1".to_owned(),
            name: "host".to_owned(),
            driver: "host".to_owned(),
            ..NetworkView::default()
        };
        assert_eq!(
            serde_json::to_value(to_api(host)).unwrap(),
            json!({
                "Name": "host", "Id": "1", "Created": "1970-01-01T00:00:00Z", "Scope": "local",
                "Driver": "host", "EnableIPv4": true, "EnableIPv6": false,
                "IPAM": { "Driver": "default", "Options": null, "Config": null },
                "Internal": false, "Attachable": false, "Ingress": false,
                "ConfigFrom": { "Network": "" }, "ConfigOnly": false,
                "Containers": {}, "Options": {}, "Labels": {},
            })
        );
    }
}
