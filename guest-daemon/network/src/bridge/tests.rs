//! The rules of attaching and publishing, with a fake kernel and a fake host.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::firewall::Forward;

#[derive(Default)]
struct Fakes {
    namespaces: Mutex<BTreeSet<String>>,
    cables: Mutex<Vec<Cable>>,
    firewall: Mutex<Vec<Forward>>,
    host: Mutex<BTreeSet<(String, u16)>>,
    no_cables: AtomicBool,
    no_firewall: AtomicBool,
    /// Held while namespaces are not to be removed.
    removing: tokio::sync::Mutex<()>,
}

struct Fake(Arc<Fakes>);

#[async_trait]
impl Effects for Fake {
    async fn create(&self, container: &str, cable: Option<Cable>) -> io::Result<PathBuf> {
        self.0.namespaces.lock().unwrap().insert(container.to_owned());
        if self.0.no_cables.load(Ordering::Relaxed) {
            return Err(io::Error::other("no cables"));
        }
        self.0.cables.lock().unwrap().extend(cable);
        Ok(PathBuf::from("/run/netns").join(container))
    }

    async fn remove(&self, container: &str) -> io::Result<()> {
        if !self.0.namespaces.lock().unwrap().contains(container) {
            return Ok(());
        }
        drop(self.0.removing.lock().await);
        self.0.namespaces.lock().unwrap().remove(container);
        Ok(())
    }

    async fn containers(&self) -> io::Result<Vec<String>> {
        Ok(self.0.namespaces.lock().unwrap().iter().cloned().collect())
    }

    async fn set_firewall(&self, forwards: Vec<Forward>) -> io::Result<()> {
        if self.0.no_firewall.load(Ordering::Relaxed) {
            return Err(io::Error::other("no firewall"));
        }
        *self.0.firewall.lock().unwrap() = forwards;
        Ok(())
    }
}

#[async_trait]
impl HostForwarder for Fake {
    async fn publish(
        &self,
        protocol: &str,
        _host_ip: &str,
        host_port: u16,
        _guest_port: u16,
    ) -> std::result::Result<u16, String> {
        let mut host = self.0.host.lock().unwrap();
        let port =
            if host_port == 0 { 50_000 + u16::try_from(host.len()).unwrap() } else { host_port };
        if port == 9999 || !host.insert((protocol.to_owned(), port)) {
            return Err("port is already allocated".to_owned());
        }
        Ok(port)
    }

    async fn unpublish(
        &self,
        protocol: &str,
        _host_ip: &str,
        host_port: u16,
        _guest_port: u16,
    ) -> std::result::Result<(), String> {
        self.0.host.lock().unwrap().remove(&(protocol.to_owned(), host_port));
        Ok(())
    }
}

fn network() -> (BridgeNetwork, Arc<Fakes>) {
    let fakes = Arc::new(Fakes::default());
    let network = BridgeNetwork::with_effects(
        Arc::new(Fake(Arc::clone(&fakes))),
        Box::new(Fake(Arc::clone(&fakes))),
    );
    (network, fakes)
}

fn request(container: &str) -> AttachRequest {
    AttachRequest { container: container.to_owned(), ..AttachRequest::default() }
}

fn port(host_port: u16, container_port: u16) -> PublishRequest {
    PublishRequest {
        container_port,
        protocol: "tcp".to_owned(),
        host_ip: "127.0.0.1".to_owned(),
        host_port,
    }
}

#[tokio::test]
async fn an_attached_container_gets_the_next_address_and_its_mac() {
    let (network, fakes) = network();
    let first = network.attach(request("aa")).await.unwrap();
    let second = network.attach(request("bb")).await.unwrap();
    assert_eq!(first.address, IpAddr::from([172, 17, 0, 2]));
    assert_eq!(first.mac_address, "02:42:ac:11:00:02");
    assert_eq!(first.gateway, IpAddr::from([172, 17, 0, 1]));
    assert_eq!(first.id.len(), 64);
    assert_ne!(first.id, second.id);
    assert_eq!(second.address, IpAddr::from([172, 17, 0, 3]));
    assert_eq!(fakes.cables.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_failed_attach_leaves_nothing() {
    let (network, fakes) = network();
    fakes.no_cables.store(true, Ordering::Relaxed);
    network.attach(request("aa")).await.unwrap_err();
    assert!(fakes.namespaces.lock().unwrap().is_empty());
    fakes.no_cables.store(false, Ordering::Relaxed);
    let endpoint = network.attach(request("aa")).await.unwrap();
    assert_eq!(endpoint.address, IpAddr::from([172, 17, 0, 2]), "the address came back");
}

#[tokio::test]
async fn a_bad_mac_address_is_refused_before_anything_is_made() {
    let (network, fakes) = network();
    let bad = AttachRequest { mac_address: "01:00:00:00:00:00".into(), ..request("aa") };
    assert_eq!(network.attach(bad).await.unwrap_err().kind(), Kind::InvalidArgument);
    assert!(fakes.namespaces.lock().unwrap().is_empty());
}

#[tokio::test]
async fn published_ports_reach_the_container() {
    let (network, fakes) = network();
    network.attach(request("aa")).await.unwrap();
    let done = network.publish("aa", vec![port(8080, 80), port(0, 81)]).await.unwrap();
    assert_eq!(done[0].host_port, 8080);
    assert_ne!(done[1].host_port, 0);
    let firewall = fakes.firewall.lock().unwrap().clone();
    assert_eq!(
        firewall[0],
        Forward {
            protocol: 6,
            guest_port: 8080,
            address: Ipv4Addr::new(172, 17, 0, 2),
            container_port: 80
        }
    );
    assert_eq!(firewall.len(), 2);
}

#[tokio::test]
async fn ports_are_published_all_or_none() {
    let (network, fakes) = network();
    network.attach(request("aa")).await.unwrap();
    let error = network.publish("aa", vec![port(8080, 80), port(9999, 81)]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    assert_eq!(error.to_string(), "Bind for 127.0.0.1:9999 failed: port is already allocated");
    assert!(fakes.host.lock().unwrap().is_empty());
    assert!(fakes.firewall.lock().unwrap().is_empty());
    network.publish("aa", vec![port(8080, 80)]).await.unwrap();
}

#[tokio::test]
async fn a_port_of_another_container_is_occupied() {
    let (network, fakes) = network();
    network.attach(request("aa")).await.unwrap();
    network.attach(request("bb")).await.unwrap();
    network.publish("aa", vec![port(8080, 80)]).await.unwrap();
    network.publish("bb", vec![port(8080, 80)]).await.unwrap_err();
    assert_eq!(fakes.host.lock().unwrap().len(), 1, "the first container keeps its port");
    network.detach("aa").await.unwrap();
    network.publish("bb", vec![port(8080, 80)]).await.unwrap();
}

#[tokio::test]
async fn a_refused_firewall_takes_the_ports_back() {
    let (network, fakes) = network();
    network.attach(request("aa")).await.unwrap();
    fakes.no_firewall.store(true, Ordering::Relaxed);
    network.publish("aa", vec![port(8080, 80)]).await.unwrap_err();
    assert!(fakes.host.lock().unwrap().is_empty());
    fakes.no_firewall.store(false, Ordering::Relaxed);
    network.publish("aa", vec![port(8080, 80)]).await.unwrap();
}

#[tokio::test]
async fn detaching_gives_everything_back_and_can_be_repeated() {
    let (network, fakes) = network();
    network.attach(request("aa")).await.unwrap();
    network.publish("aa", vec![port(8080, 80)]).await.unwrap();
    network.detach("aa").await.unwrap();
    network.detach("aa").await.unwrap();
    assert!(fakes.namespaces.lock().unwrap().is_empty());
    assert!(fakes.host.lock().unwrap().is_empty());
    assert!(fakes.firewall.lock().unwrap().is_empty());
    let again = network.attach(request("bb")).await.unwrap();
    assert_eq!(again.address, IpAddr::from([172, 17, 0, 2]));
}

#[tokio::test]
async fn after_a_restart_running_containers_keep_what_they_have() {
    let (before, fakes) = network();
    let endpoint = before.attach(request("aa")).await.unwrap();
    let ports = before.publish("aa", vec![port(8080, 80)]).await.unwrap();
    before.attach(request("bb")).await.unwrap();
    let after = BridgeNetwork::with_effects(
        Arc::new(Fake(Arc::clone(&fakes))),
        Box::new(Fake(Arc::clone(&fakes))),
    );
    after.restore(vec![("aa".into(), Some(endpoint), ports)]).await.unwrap();
    assert_eq!(fakes.namespaces.lock().unwrap().iter().collect::<Vec<_>>(), ["aa"]);
    assert_eq!(fakes.firewall.lock().unwrap().len(), 1);
    let next = after.attach(request("cc")).await.unwrap();
    assert_eq!(next.address, IpAddr::from([172, 17, 0, 3]), "the first address is taken");
    after.publish("cc", vec![port(8080, 80)]).await.unwrap_err();
}

#[tokio::test]
async fn a_container_without_a_network_has_no_address_and_no_ports() {
    let (network, fakes) = network();
    network.isolate("aa").await.unwrap();
    assert!(fakes.cables.lock().unwrap().is_empty());
    network.publish("aa", vec![port(8080, 80)]).await.unwrap_err();
    network.detach("aa").await.unwrap();
    network.detach("aa").await.unwrap();
    assert!(fakes.namespaces.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_address_is_given_again_only_when_its_link_is_gone() {
    let (network, fakes) = network();
    network.attach(request("aa")).await.unwrap();
    network.publish("aa", vec![port(8080, 80)]).await.unwrap();
    let slow = fakes.removing.lock().await;
    network.detach("aa").await.unwrap();
    assert!(fakes.firewall.lock().unwrap().is_empty(), "nothing leads to it any more");
    let next = network.attach(request("bb")).await.unwrap();
    assert_eq!(next.address, IpAddr::from([172, 17, 0, 3]));
    drop(slow);
    let again = network.attach(request("aa")).await.unwrap();
    assert_eq!(again.address, IpAddr::from([172, 17, 0, 2]), "it waited until it had left");
}
