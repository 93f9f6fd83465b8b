//! Published ports: what the guest asks to be reachable on the host's 127.0.0.1.
//!
//! **Invariant:** only ports the engine asked for are forwarded, and none leads anywhere but from
//! 127.0.0.1 to this guest.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use boot::{Forward, Protocol};
use machine_qemu::qmp::{Qmp, QmpError, Transport};

use crate::journal::note;

pub(crate) const ALREADY_ALLOCATED: &str = "port is already allocated";

/// How often another free port is tried when somebody takes the chosen one at that moment.
const ATTEMPTS: usize = 16;

/// What is forwarded now.
#[derive(Debug, Default)]
pub(crate) struct Forwards {
    active: HashMap<(Protocol, u16), Active>,
}

#[derive(Debug, PartialEq, Eq)]
struct Active {
    guest_port: u16,
    /// The addresses by which the guest asked for it. One port published on `0.0.0.0` and on `::`
    /// is one forward.
    addresses: HashSet<String>,
}

/// What a request comes to.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Add {
        guest_port: u16,
    },
    /// It is there, and now for one more address.
    Share,
    Refuse(String),
}

impl Forwards {
    /// Forwards a port and returns which one of the host it is.
    pub(crate) async fn publish(&mut self, qmp: &Qmp, forward: &Forward) -> Result<u16, String> {
        if forward.host_port == 0 {
            return self.publish_anywhere(qmp, forward).await;
        }
        match self.decide(forward) {
            Decision::Refuse(reason) => return Err(reason),
            Decision::Share => {}
            Decision::Add { guest_port } => add(qmp, forward, guest_port).await?,
        }
        self.note_added(forward);
        Ok(forward.host_port)
    }

    async fn publish_anywhere(&mut self, qmp: &Qmp, forward: &Forward) -> Result<u16, String> {
        for _ in 0..ATTEMPTS {
            let host_port = bind(forward.protocol, 0).map_err(|error| describe(&error))?;
            let forward = Forward { host_port, ..forward.clone() };
            let Decision::Add { guest_port } = self.decide(&forward) else { continue };
            match add(qmp, &forward, guest_port).await {
                Ok(()) => {
                    self.note_added(&forward);
                    return Ok(host_port);
                }
                Err(reason) if reason == ALREADY_ALLOCATED => {}
                Err(reason) => return Err(reason),
            }
        }
        Err("no free port was found".to_owned())
    }

    /// Ends a forward, unless another address still needs it.
    pub(crate) async fn unpublish(&mut self, qmp: &Qmp, forward: &Forward) -> Result<(), String> {
        let key = (forward.protocol, forward.host_port);
        let Some(active) = self.active.get_mut(&key) else { return Ok(()) };
        active.addresses.remove(&forward.host_ip);
        if active.addresses.is_empty() {
            self.active.remove(&key);
            remove(qmp, key).await?;
        }
        Ok(())
    }

    /// Makes what is forwarded what the guest says it should be.
    pub(crate) async fn reconcile(&mut self, qmp: &Qmp, wanted: &[Forward]) {
        let keep = |key: &(Protocol, u16), active: &Active| {
            wanted.iter().any(|forward| {
                (forward.protocol, forward.host_port) == *key
                    && guest_port(forward) == active.guest_port
            })
        };
        let surplus: Vec<_> = self
            .active
            .iter()
            .filter(|(key, active)| !keep(key, active))
            .map(|(key, _)| *key)
            .collect();
        for key in surplus {
            self.active.remove(&key);
            if let Err(reason) = remove(qmp, key).await {
                note(format_args!("port {} is still forwarded: {reason}", key.1));
            }
        }
        // Which addresses asked is told anew.
        for active in self.active.values_mut() {
            active.addresses.clear();
        }
        for forward in wanted {
            if let Err(reason) = self.publish(qmp, forward).await {
                note(format_args!("port {} is not forwarded: {reason}", forward.host_port));
            }
        }
    }

    /// Ends all forwards: the guest that asked for them has restarted.
    pub(crate) async fn forget(&mut self, qmp: &Qmp) {
        self.reconcile(qmp, &[]).await;
    }

    /// Learns from QEMU what an earlier supervisor has forwarded, except the machine's own ports.
    pub(crate) async fn recover(qmp: &Qmp, own: [u16; 2]) -> Result<Self, QmpError> {
        let mut forwards = Self::default();
        for forward in published(qmp, own).await? {
            forwards.note_recovered(&forward);
        }
        Ok(forwards)
    }

    fn decide(&self, forward: &Forward) -> Decision {
        if !matches!(forward.host_ip.as_str(), "" | "0.0.0.0" | "::" | "127.0.0.1") {
            let address = &forward.host_ip;
            return Decision::Refuse(format!(
                "address {address} is not available, ports are published on 127.0.0.1"
            ));
        }
        let guest_port = guest_port(forward);
        match self.active.get(&(forward.protocol, forward.host_port)) {
            None => Decision::Add { guest_port },
            Some(active)
                if active.guest_port == guest_port
                    && !active.addresses.contains(&forward.host_ip) =>
            {
                Decision::Share
            }
            Some(_) => Decision::Refuse(ALREADY_ALLOCATED.to_owned()),
        }
    }

    /// By which addresses it was asked for is not known, so any of them ends it.
    fn note_recovered(&mut self, forward: &Forward) {
        let active = Active { guest_port: guest_port(forward), addresses: HashSet::new() };
        self.active.insert((forward.protocol, forward.host_port), active);
    }

    fn note_added(&mut self, forward: &Forward) {
        self.active
            .entry((forward.protocol, forward.host_port))
            .or_insert_with(|| Active {
                guest_port: guest_port(forward),
                addresses: HashSet::new(),
            })
            .addresses
            .insert(forward.host_ip.clone());
    }
}

/// What QEMU forwards now, except the machine's own ports.
pub(crate) async fn published(qmp: &Qmp, own: [u16; 2]) -> Result<Vec<Forward>, QmpError> {
    let forward = |(transport, host_port, guest_port)| {
        let protocol = match transport {
            Transport::Tcp if own.contains(&host_port) => return None,
            Transport::Tcp => Protocol::Tcp,
            Transport::Udp => Protocol::Udp,
        };
        Some(Forward { protocol, host_ip: String::new(), host_port, guest_port })
    };
    Ok(qmp.forwards().await?.into_iter().filter_map(forward).collect())
}

fn guest_port(forward: &Forward) -> u16 {
    if forward.guest_port == 0 { forward.host_port } else { forward.guest_port }
}

async fn add(qmp: &Qmp, forward: &Forward, guest_port: u16) -> Result<(), String> {
    // QEMU does not say why it cannot listen; trying it here does.
    bind(forward.protocol, forward.host_port).map_err(|error| describe(&error))?;
    let transport = transport(forward.protocol);
    match qmp.add_forward(transport, forward.host_port, guest_port).await {
        Ok(()) => Ok(()),
        // Somebody was quicker.
        Err(QmpError::Refused(_)) => Err(ALREADY_ALLOCATED.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

async fn remove(qmp: &Qmp, (protocol, host_port): (Protocol, u16)) -> Result<(), String> {
    qmp.remove_forward(transport(protocol), host_port).await.map_err(|error| error.to_string())
}

/// Whether a port can be listened on, and which it is if any will do.
pub(crate) fn bind(protocol: Protocol, port: u16) -> io::Result<u16> {
    let address = (Ipv4Addr::LOCALHOST, port);
    let bound = match protocol {
        Protocol::Tcp => TcpListener::bind(address)?.local_addr()?,
        Protocol::Udp => UdpSocket::bind(address)?.local_addr()?,
    };
    Ok(bound.port())
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => ALREADY_ALLOCATED.to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

fn transport(protocol: Protocol) -> Transport {
    match protocol {
        Protocol::Tcp => Transport::Tcp,
        Protocol::Udp => Transport::Udp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(host_ip: &str, host_port: u16, guest_port: u16) -> Forward {
        Forward { protocol: Protocol::Tcp, host_ip: host_ip.to_owned(), host_port, guest_port }
    }

    fn with(forward: &Forward) -> Forwards {
        let mut forwards = Forwards::default();
        forwards.note_added(forward);
        forwards
    }

    #[test]
    fn a_guest_port_of_zero_means_the_hosts() {
        let decision = Forwards::default().decide(&forward("", 80, 0));
        assert_eq!(decision, Decision::Add { guest_port: 80 });
    }

    #[test]
    fn a_port_is_published_once() {
        let forwards = with(&forward("", 80, 0));
        let refused = Decision::Refuse(ALREADY_ALLOCATED.to_owned());
        assert_eq!(forwards.decide(&forward("", 80, 0)), refused);
        assert_eq!(forwards.decide(&forward("", 80, 81)), refused);
    }

    #[test]
    fn every_address_of_one_port_is_one_forward() {
        let forwards = with(&forward("0.0.0.0", 80, 8080));
        assert_eq!(forwards.decide(&forward("::", 80, 8080)), Decision::Share);
        let other = forward("::", 80, 8081);
        assert_eq!(forwards.decide(&other), Decision::Refuse(ALREADY_ALLOCATED.to_owned()));
    }

    #[test]
    fn tcp_and_udp_do_not_meet() {
        let forwards = with(&forward("", 53, 53));
        let udp = Forward { protocol: Protocol::Udp, ..forward("", 53, 53) };
        assert_eq!(forwards.decide(&udp), Decision::Add { guest_port: 53 });
    }

    #[test]
    fn no_address_but_loopback_is_published_on() {
        let decision = Forwards::default().decide(&forward("192.168.1.2", 80, 80));
        assert!(matches!(decision, Decision::Refuse(text) if text.contains("192.168.1.2")));
    }

    #[test]
    fn a_port_somebody_listens_on_is_taken() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = bind(Protocol::Tcp, port).unwrap_err();
        assert_eq!(describe(&error), ALREADY_ALLOCATED);
    }
}
