//! The driver `none`: a Docker host that somebody else runs, known by its URL.
//!
//! It gets certificates of this CA; whoever runs it gives it the server's. What it does cannot be
//! seen from here, so it counts as running.

use std::net::Ipv6Addr;

use machine_store::{Lock, MachineRecord, NO_DRIVER};

use crate::{Error, MachineName, MachineSpec, Machines, identity};

impl Machines {
    /// Whether somebody else runs it.
    pub(crate) fn is_elsewhere(&self, name: &MachineName) -> bool {
        self.store.record(name.as_str()).is_ok_and(|record| record.driver == NO_DRIVER)
    }

    /// The record of a machine that has a VM here. `action` is what cannot be done to one that has
    /// none.
    pub(crate) fn own_record(
        &self,
        name: &MachineName,
        action: &'static str,
    ) -> Result<MachineRecord, Error> {
        let record = self.store.record(name.as_str())?;
        if record.driver == NO_DRIVER {
            return Err(Error::NoVm { name: name.clone(), action });
        }
        Ok(record)
    }

    /// Everything that a machine without a VM has: its certificates and its record.
    pub(crate) fn build_elsewhere(
        &self,
        lock: &Lock,
        name: &MachineName,
        spec: &MachineSpec,
    ) -> Result<(), Error> {
        let now = (self.clock)();
        let record = spec.to_record(machine_store::Ports::default());
        let draft = self.store.begin(lock, name.as_str())?;
        let authority = identity::authority(&self.store, now)?;
        identity::write_new(&draft, name, &record.tls_names, &authority, now)?;
        draft.describe_without_ports(&record)?;
        Ok(draft.commit()?.finish()?)
    }
}

/// `tcp://HOST:PORT` in parts; an IPv6 address stands in brackets.
pub(crate) fn host_and_port(url: &str) -> Option<(&str, u16)> {
    let (host, port) = url.strip_prefix("tcp://")?.rsplit_once(':')?;
    let port = port.bytes().all(|digit| digit.is_ascii_digit()).then(|| port.parse().ok())??;
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !host.is_empty() && host.bytes().all(allowed)
        }
    };
    (is_host && port != 0).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn a_url_has_a_scheme_a_host_and_a_port() {
        assert_eq!(host_and_port("tcp://10.0.0.1:2376"), Some(("10.0.0.1", 2376)));
        assert_eq!(host_and_port("tcp://docker.example:1"), Some(("docker.example", 1)));
        assert_eq!(host_and_port("tcp://[::1]:2376"), Some(("[::1]", 2376)));
        for bad in [
            "",
            "docker.example:2376",
            "http://docker.example:2376",
            "tcp://docker.example",
            "tcp://:2376",
            "tcp://docker.example:0",
            "tcp://docker.example:+1",
            "tcp://docker.example:2376/",
            "tcp://a b:2376",
            "tcp://::1:2376",
            "tcp://[x]:2376",
        ] {
            assert_eq!(host_and_port(bad), None, "{bad}");
        }
    }
}
