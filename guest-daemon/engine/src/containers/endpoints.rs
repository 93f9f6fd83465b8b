//! What a user may choose for a container's place in the default network.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::NetworkAttachment;
use crate::error::{Error, Result};

/// The driver's options that mean something; it passes over all others.
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";
const INTERFACE: &str = "com.docker.network.endpoint.ifname";

const DEFAULT_INTERFACE: &str = "eth0";
/// Bytes that the kernel has for a name.
const LONGEST_NAME: usize = 15;

/// Refuses what means nothing, in dockerd's words.
pub(super) fn check(attachment: &NetworkAttachment) -> Result<()> {
    let mut wrong = Vec::new();
    for address in link_local(attachment) {
        if address.parse::<IpAddr>().is_ok_and(|address| !address.is_unspecified()) {
            continue;
        }
        wrong.push(format!("invalid link-local IP address: {address}"));
    }
    for setting in settings(attachment) {
        let parts: Vec<&str> = setting.splitn(5, '.').collect();
        let known = matches!(
            parts.as_slice(),
            ["net", "ipv4" | "ipv6" | "mpls", _, "IFNAME" | "ifname", rest] if rest.contains('=')
        );
        if !known {
            wrong.push(format!(
                "unrecognised network interface sysctl '{setting}'; represent \
                 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            ));
        }
    }
    let name = interface(attachment);
    if name.len() > LONGEST_NAME
        || matches!(name, "" | "." | ".." | "lo")
        || name.contains(|it: char| it == '/' || it == ':' || it.is_whitespace())
    {
        wrong.push(format!("invalid interface name: {name:?}"));
    }
    match wrong.as_slice() {
        [] => Ok(()),
        _ => Err(Error::invalid(format!("invalid endpoint settings:\n{}", wrong.join("\n")))),
    }
}

/// What the container calls its link.
pub(super) fn interface(attachment: &NetworkAttachment) -> &str {
    option(attachment, INTERFACE).unwrap_or(DEFAULT_INTERFACE)
}

/// The kernel's settings of that link.
pub(super) fn sysctls(attachment: &NetworkAttachment) -> BTreeMap<String, String> {
    let name = interface(attachment);
    let setting = |text: &str| {
        let (key, value) = text.split_once('=')?;
        let parts: Vec<&str> = key.splitn(5, '.').collect();
        let [net, family, kind, _, rest] = parts.as_slice() else { return None };
        // With slashes, as the name of a link may have dots.
        Some((format!("{net}/{family}/{kind}/{name}/{rest}"), value.to_owned()))
    };
    settings(attachment).filter_map(setting).collect()
}

/// Further addresses of the link.
pub(super) fn link_local(attachment: &NetworkAttachment) -> impl Iterator<Item = &String> {
    attachment.chosen.iter().flat_map(|chosen| &chosen.link_local)
}

fn settings(attachment: &NetworkAttachment) -> impl Iterator<Item = &str> {
    option(attachment, SYSCTLS).into_iter().flat_map(|all| all.split(','))
}

fn option<'a>(attachment: &'a NetworkAttachment, name: &str) -> Option<&'a str> {
    attachment.driver_options.as_ref()?.get(name).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ChosenAddresses;

    fn with(options: &[(&str, &str)]) -> NetworkAttachment {
        let owned = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        NetworkAttachment { driver_options: Some(owned.collect()), ..Default::default() }
    }

    #[test]
    fn settings_of_the_link_are_those_of_its_name() {
        let attachment = with(&[
            (INTERFACE, "wan.1"),
            (SYSCTLS, "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.neigh.ifname.ucast_solicit=2"),
            ("odd", "passed over"),
        ]);
        check(&attachment).unwrap();
        assert_eq!(interface(&attachment), "wan.1");
        let expected = [
            ("net/ipv4/conf/wan.1/log_martians", "1"),
            ("net/ipv6/neigh/wan.1/ucast_solicit", "2"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(sysctls(&attachment), BTreeMap::from(expected));
        assert_eq!(interface(&NetworkAttachment::default()), "eth0");
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (option, value) in [
            (SYSCTLS, "net.ipv4.conf.eth0.log_martians=1"),
            (SYSCTLS, "net.core.conf.IFNAME.x=1"),
            (SYSCTLS, "kernel.ipv4.conf.IFNAME.x=1"),
            (SYSCTLS, ""),
            (INTERFACE, "a/b"),
            (INTERFACE, "sixteen-bytes-is"),
            (INTERFACE, "lo"),
        ] {
            let error = check(&with(&[(option, value)])).unwrap_err().to_string();
            assert!(error.starts_with("invalid endpoint settings:\n"), "{option}={value}: {error}");
        }
        let chosen = |address: &str| NetworkAttachment {
            chosen: Some(ChosenAddresses { link_local: vec![address.to_owned()] }),
            ..NetworkAttachment::default()
        };
        check(&chosen("169.254.1.2")).unwrap();
        let error = check(&chosen("odd")).unwrap_err().to_string();
        assert_eq!(error, "invalid endpoint settings:\ninvalid link-local IP address: odd");
    }
}
