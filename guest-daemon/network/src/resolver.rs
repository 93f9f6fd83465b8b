//! The resolv.conf of containers: the guest's own, without what only the guest can reach.

use std::net::IpAddr;

use crate::addresses::RESOLVER;

/// Turns the guest's resolv.conf into one for containers.
pub(crate) fn for_containers(guest: &str) -> String {
    let kept: Vec<&str> = guest
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', ';']) && !is_loopback(line))
        .collect();
    let mut text = String::new();
    if !kept.iter().any(|line| line.starts_with("nameserver")) {
        text += &format!("nameserver {RESOLVER}\n");
    }
    for line in kept {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn is_loopback(line: &str) -> bool {
    let mut words = line.split_whitespace();
    if words.next() != Some("nameserver") {
        return false;
    }
    // An interface's scope (`fe80::1%eth0`) names an interface that containers do not have.
    let address = words.next().unwrap_or_default();
    address.parse::<IpAddr>().map_or(true, |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_resolvers_are_dropped() {
        let guest = "# made at boot\nnameserver 127.0.0.53\nnameserver 10.0.2.3\nsearch lan\n";
        assert_eq!(for_containers(guest), "nameserver 10.0.2.3\nsearch lan\n");
    }

    #[test]
    fn there_is_always_a_resolver() {
        assert_eq!(for_containers(""), "nameserver 10.0.2.3\n");
        assert_eq!(
            for_containers("nameserver ::1\noptions edns0\n"),
            "nameserver 10.0.2.3\noptions edns0\n"
        );
    }
}
