//! What a container has at each network.

use std::collections::BTreeMap;

use engine::config::{ChosenAddresses, NetworkAttachment};
use engine_api::container::NetworkingConfig;
use engine_api::network::{EndpointIpam, EndpointSettings};

use crate::error::HttpError;

/// `mac_address` is the container's own from before each network had one; it is meant for the
/// network of `network_mode`.
pub(crate) fn from_api(
    networking: NetworkingConfig,
    mac_address: &str,
    network_mode: &str,
) -> Result<BTreeMap<String, NetworkAttachment>, HttpError> {
    let mut networks = BTreeMap::new();
    for (name, settings) in networking.endpoints_config.unwrap_or_default() {
        networks.insert(name, attachment_from_api(settings.unwrap_or_default())?);
    }
    if !mac_address.is_empty() {
        let mode = if network_mode.is_empty() { "default" } else { network_mode };
        let name = match networks.keys().next() {
            Some(only) if networks.len() == 1 => only.clone(),
            _ => mode.to_owned(),
        };
        let attachment: &mut NetworkAttachment = networks.entry(name).or_default();
        if attachment.mac_address.is_empty() {
            attachment.mac_address = mac_address.to_owned();
        }
    }
    Ok(networks)
}

pub(super) fn to_api(
    networks: &BTreeMap<String, NetworkAttachment>,
) -> BTreeMap<String, EndpointSettings> {
    networks.iter().map(|(name, a)| (name.clone(), endpoint_to_api(a))).collect()
}

fn attachment_from_api(settings: EndpointSettings) -> Result<NetworkAttachment, HttpError> {
    let fixed =
        |chosen: &EndpointIpam| !chosen.ipv4_address.is_empty() || !chosen.ipv6_address.is_empty();
    if settings.ipam_config.as_ref().is_some_and(fixed) {
        return Err(HttpError::invalid(
            "user specified IP address is supported on user defined networks only",
        ));
    }
    Ok(NetworkAttachment {
        aliases: settings.aliases,
        links: settings.links,
        driver_options: settings.driver_opts,
        gateway_priority: settings.gw_priority,
        chosen: settings.ipam_config.map(|chosen| ChosenAddresses {
            link_local: chosen.link_local_ips.unwrap_or_default(),
        }),
        mac_address: settings.mac_address,
        network_id: settings.network_id,
        ..NetworkAttachment::default()
    })
}

fn endpoint_to_api(attachment: &NetworkAttachment) -> EndpointSettings {
    EndpointSettings {
        ipam_config: attachment.chosen.as_ref().map(|chosen| EndpointIpam {
            link_local_ips: Some(chosen.link_local.clone()),
            ..EndpointIpam::default()
        }),
        links: attachment.links.clone(),
        aliases: attachment.aliases.clone(),
        driver_opts: attachment.driver_options.clone(),
        gw_priority: attachment.gateway_priority,
        mac_address: attachment.mac_address.clone(),
        network_id: attachment.network_id.clone(),
        endpoint_id: attachment.endpoint_id.clone(),
        gateway: attachment.gateway.clone(),
        ip_address: attachment.ip_address.clone(),
        ip_prefix_len: attachment.ip_prefix_len,
        ..EndpointSettings::default()
    }
}
