//! The bridge on a real kernel, inside namespaces of this process's own: needs root and iproute2.
//!
//! Outside of the bridge stands another namespace, which plays the host of the machine.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a failed step is a failed test")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::ports::{AttachRequest, Endpoint, Network, PublishRequest};
use engine_network::{BridgeNetwork, HostForwarder, Options};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

/// The laptop, as the guest sees it.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// A host on which every port is free.
struct Host;

#[async_trait]
impl HostForwarder for Host {
    async fn publish(&self, _: &str, _: &str, port: u16, _: u16) -> Result<u16, String> {
        Ok(port)
    }

    async fn unpublish(&self, _: &str, _: &str, _: u16, _: u16) -> Result<(), String> {
        Ok(())
    }
}

fn main() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
    // The mounted /sys shows the links of another namespace.
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), None::<&str>).unwrap();
    let state = tempfile::tempdir().unwrap();
    let outside = state.path().join("outside");
    make_outside(&outside);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(scenario(state.path().join("netns"), &outside));
}

/// The uplink as QEMU's user-mode network has it.
fn make_outside(path: &Path) {
    let file = path.to_owned();
    std::thread::spawn(move || {
        File::create(&file).unwrap();
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let here = "/proc/thread-self/ns/net";
        mount(Some(here), &file, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    })
    .join()
    .unwrap();
    ip("link set lo up");
    ip("link add eth0 mtu 4000 type veth peer name up0");
    // iproute2 takes a path when it is one.
    ip(&format!("link set up0 netns {}", path.display()));
    ip("addr add 10.0.2.15/24 dev eth0");
    ip("link set eth0 up");
    ip("route add default via 10.0.2.2");
    for args in [
        "addr add 10.0.2.2/24 dev up0",
        "addr add 10.0.2.3/24 dev up0",
        "addr add 192.0.2.1/32 dev up0",
        "link set up0 up",
        "link set lo up",
    ] {
        ip_in(path, args);
    }
}

fn ip(args: &str) {
    assert!(Command::new("ip").args(args.split(' ')).status().unwrap().success(), "ip {args}");
}

/// Runs something in a namespace.
fn inside<T: Send + 'static>(namespace: &Path, work: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = File::open(namespace).unwrap();
    std::thread::spawn(move || {
        setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
        work()
    })
    .join()
    .unwrap()
}

/// Answers every connection with the address of its peer.
fn serve(namespace: &Path, port: u16) {
    let listener = inside(namespace, move || TcpListener::bind(("0.0.0.0", port)).unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, peer)) = listener.accept() {
            stream.write_all(peer.ip().to_string().as_bytes()).unwrap();
        }
    });
}

fn ask(namespace: Option<&Path>, to: SocketAddr) -> Option<String> {
    let connect = move || {
        let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(2)).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    };
    match namespace {
        Some(path) => inside(path, connect),
        None => connect(),
    }
}

async fn attach(network: &BridgeNetwork, container: &str) -> Endpoint {
    let request = AttachRequest { container: container.repeat(64), ..AttachRequest::default() };
    network.attach(request).await.unwrap()
}

async fn scenario(state: PathBuf, outside: &Path) {
    let network = BridgeNetwork::new(Arc::new(Host), state.clone(), Options::default());
    network.restore(Vec::new()).await.unwrap();
    let a = attach(&network, "a").await;
    let b = attach(&network, "b").await;
    let at = |address: IpAddr, port: u16| SocketAddr::new(address, port);
    serve(&a.namespace, 80);
    serve(outside, 7000);
    serve(outside, 53);
    let bridge: IpAddr = "172.17.0.1".parse().unwrap();
    let guest: IpAddr = "10.0.2.15".parse().unwrap();
    let host = IpAddr::V4(HOST);
    let resolver: IpAddr = "10.0.2.3".parse().unwrap();
    let elsewhere: IpAddr = "192.0.2.1".parse().unwrap();

    assert_eq!(ask(Some(&b.namespace), at(a.address, 80)), Some(b.address.to_string()));
    assert_eq!(ask(None, at(a.address, 80)), Some(bridge.to_string()));
    assert_eq!(
        ask(Some(&a.namespace), at(elsewhere, 7000)),
        Some(guest.to_string()),
        "masqueraded"
    );
    println!("containers reach each other, the guest and the outside");

    assert_eq!(ask(Some(&a.namespace), at(resolver, 53)), Some(guest.to_string()));
    for of_the_laptop in [at(host, 7000), at(host, 53), at(resolver, 7000)] {
        assert_eq!(ask(Some(&a.namespace), of_the_laptop), None, "{of_the_laptop}");
    }
    assert_eq!(ask(None, at(host, 7000)), Some(guest.to_string()), "the guest itself does");
    println!("of the laptop they reach its resolver only");

    let through = |port| at(guest, port);
    assert_eq!(ask(Some(outside), through(8080)), None, "not published yet");
    ip_in(outside, "route add 172.17.0.0/16 via 10.0.2.15");
    assert_eq!(ask(Some(outside), at(a.address, 80)), None, "not published at all");
    let request = PublishRequest {
        container_port: 80,
        protocol: "tcp".into(),
        host_ip: String::new(),
        host_port: 8080,
    };
    let published = network.publish(&"a".repeat(64), vec![request]).await.unwrap();
    assert_eq!(ask(Some(outside), through(8080)), Some(host.to_string()));
    assert_eq!(ask(None, through(8080)), Some(guest.to_string()));
    assert_eq!(ask(Some(&b.namespace), through(8080)), Some(bridge.to_string()), "by a detour");
    assert_eq!(ask(Some(&a.namespace), through(8080)), Some(bridge.to_string()), "itself");
    assert_eq!(ask(Some(outside), at(a.address, 80)), None, "only by the published port");
    println!("published ports are reached, others are not");

    let links = inside(&a.namespace, || {
        let names = nix::net::if_::if_nameindex().unwrap();
        names.iter().map(|name| name.name().to_str().unwrap().to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(links, ["lo", "eth0"]);
    let chosen = AttachRequest {
        container: "e".repeat(64),
        interface: "wan".into(),
        link_local: vec!["169.254.7.8".parse().unwrap()],
        ..AttachRequest::default()
    };
    let chosen = network.attach(chosen).await.unwrap();
    let own = at("169.254.7.8".parse().unwrap(), 81);
    serve(&chosen.namespace, 81);
    assert_eq!(ask(Some(&chosen.namespace), own), Some("169.254.7.8".to_owned()));
    let links = inside(&chosen.namespace, || {
        let names = nix::net::if_::if_nameindex().unwrap();
        names.iter().map(|name| name.name().to_str().unwrap().to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(links, ["lo", "wan"]);
    network.detach(&"e".repeat(64)).await.unwrap();
    println!("a link has the name and the addresses that were chosen");
    let inherited = std::fs::read_to_string("/sys/class/net/docker0/mtu").unwrap();
    assert_eq!(inherited.trim(), "4000");

    // Another daemon takes over: a goes on, b is gone.
    let options = Options { host_gateway: Some(HOST), ..Options::default() };
    let next = BridgeNetwork::new(Arc::new(Host), state.clone(), options);
    next.restore(vec![("a".repeat(64), Some(a.clone()), published)]).await.unwrap();
    assert_eq!(ask(Some(outside), through(8080)), Some(host.to_string()));
    assert_eq!(std::fs::read_dir(&state).unwrap().count(), 1);
    let c = attach(&next, "c").await;
    assert_eq!(c.address, b.address, "the address is free again");
    assert_eq!(
        ask(Some(&c.namespace), at(host, 7000)),
        Some(guest.to_string()),
        "it was asked for"
    );
    let alone = next.isolate(&"d".repeat(64)).await.unwrap();
    assert_eq!(inside(&alone, || nix::net::if_::if_nameindex().unwrap().iter().count()), 1);
    println!("a new daemon takes over");

    // The second time waits for what the first one began.
    for container in ["a", "b", "c", "d", "a", "b", "c", "d"] {
        next.detach(&container.repeat(64)).await.unwrap();
    }
    assert_eq!(ask(Some(outside), through(8080)), None);
    assert_eq!(std::fs::read_dir(&state).unwrap().count(), 0);
    let links = nix::net::if_::if_nameindex().unwrap();
    assert!(!links.iter().any(|link| link.name().to_bytes().starts_with(b"veth")));
    if let Ok(rules) = Command::new("nft").args(["list", "ruleset"]).output() {
        println!("{}", String::from_utf8_lossy(&rules.stdout));
    }
    println!("nothing is left");
}

fn ip_in(namespace: &Path, args: &str) {
    let mut command = Command::new("nsenter");
    let command = command.arg(format!("--net={}", namespace.display())).arg("ip");
    assert!(command.args(args.split(' ')).status().unwrap().success(), "{args}");
}
