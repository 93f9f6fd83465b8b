//! Addresses, published ports, the way out.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::{Context, Result, ensure};
use machine_e2e::{Check, Run, eventually};

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("a_published_port_answers_on_the_laptop", published),
    ("any_free_port_is_chosen_and_shown", ephemeral),
    ("a_taken_port_is_refused_and_nothing_stays", taken),
    ("a_port_is_free_again_after_stop", released),
    ("containers_do_not_reach_the_laptop", laptop),
    ("containers_resolve_their_own_name", own_name),
    ("containers_resolve_names_outside", names),
    ("containers_reach_each_other", each_other),
    ("without_a_network_there_is_only_lo", none),
    ("the_hosts_network_is_the_machines", host),
    ("no_port_of_the_guest_is_open_without_a_certificate", closed),
];

const SERVER: &str = "while true; do echo served | nc -l -p 80; done";

fn ask(port: u16) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn published(on: &Fixture) -> Result<()> {
    let port = free_port()?;
    let binding = format!("{port}:80");
    on.text(&["run", "-d", "--name", "server", "-p", &binding, "busybox", "sh", "-c", SERVER])?;
    eventually("it answers", || Ok(ask(port)? == "served\n"))?;
    let shown = on.text(&["port", "server", "80"])?;
    ensure!(shown.lines().next() == Some(&format!("0.0.0.0:{port}")), "{shown}");
    let listed = on.text(&["ps", "--filter", "name=server", "--format", "{{.Ports}}"])?;
    ensure!(listed.contains(&format!("{port}->80/tcp")), "{listed}");
    on.text(&["rm", "-f", "server"]).map(drop)
}

fn ephemeral(on: &Fixture) -> Result<()> {
    on.text(&["run", "-d", "--name", "anyport", "-p", "80", "busybox", "sh", "-c", SERVER])?;
    let shown = on.text(&["port", "anyport", "80"])?;
    let port = shown
        .lines()
        .next()
        .and_then(|line| line.rsplit(':').next())
        .context("no port")?
        .parse()?;
    eventually("it answers", || Ok(ask(port)? == "served\n"))?;
    on.text(&["rm", "-f", "anyport"]).map(drop)
}

fn taken(on: &Fixture) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let binding = format!("{}:80", listener.local_addr()?.port());
    let ran =
        on.docker(["run", "-d", "--name", "loser", "-p", &binding, "busybox", "true"]).run()?;
    ran.code(125)?.says("port is already allocated")?;
    ensure!(on.inspect("loser")?["State"]["Status"] == "created");
    on.text(&["rm", "loser"]).map(drop)
}

fn released(on: &Fixture) -> Result<()> {
    let port = free_port()?;
    let binding = format!("127.0.0.1:{port}:80");
    on.text(&["run", "-d", "--name", "short", "-p", &binding, "busybox", "sh", "-c", SERVER])?;
    eventually("it answers", || Ok(ask(port)? == "served\n"))?;
    on.text(&["stop", "-t", "0", "short"])?;
    drop(TcpListener::bind(("127.0.0.1", port)).context("the port is still taken")?);
    on.text(&["start", "short"])?;
    eventually("it answers again", || Ok(ask(port)? == "served\n"))?;
    on.text(&["rm", "-f", "short"]).map(drop)
}

fn laptop(on: &Fixture) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port().to_string();
    let server = std::thread::spawn(move || -> Result<()> {
        let (mut stream, _) = listener.accept()?;
        Ok(stream.write_all(b"from the laptop\n")?)
    });
    for address in ["10.0.2.2", "10.0.2.3", "10.0.2.99"] {
        let ran = on.docker(["run", "--rm", "busybox", "nc", address, &port]).run()?;
        ran.code(1)?.says("Connection refused")?;
    }
    // The machine itself does.
    let seen = on.inside(&["--network", "host"], &["nc", "10.0.2.2", &port])?;
    ensure!(seen == "from the laptop", "{seen}");
    server.join().unwrap_or(Ok(()))
}

fn own_name(on: &Fixture) -> Result<()> {
    let seen = on.inside(
        &["--hostname", "myself", "--add-host", "friend:10.9.8.7"],
        &["cat", "/etc/hosts"],
    )?;
    ensure!(seen.contains("\tmyself") && seen.contains("10.9.8.7\tfriend"), "{seen}");
    Ok(())
}

fn names(on: &Fixture) -> Result<()> {
    let seen = on.inside(&[], &["cat", "/etc/resolv.conf"])?;
    ensure!(seen.contains("nameserver 10.0.2.3"), "{seen}");
    Ok(())
}

fn each_other(on: &Fixture) -> Result<()> {
    on.text(&["run", "-d", "--name", "peer", "busybox", "sh", "-c", SERVER])?;
    let address = on.text(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "peer"])?;
    eventually("the peer answers", || Ok(on.inside(&[], &["nc", &address, "80"])? == "served"))?;
    on.text(&["rm", "-f", "peer"]).map(drop)
}

fn none(on: &Fixture) -> Result<()> {
    let seen =
        on.inside(&["--network", "none"], &["sh", "-c", "ip -o link | wc -l; ls /sys/class/net"])?;
    ensure!(seen.contains("lo") && !seen.contains("eth0"), "{seen}");
    Ok(())
}

fn host(on: &Fixture) -> Result<()> {
    let seen = on.inside(&["--network", "host"], &["sh", "-c", "ls /sys/class/net; hostname"])?;
    ensure!(seen.contains("docker0") && seen.ends_with("docker"), "{seen}");
    Ok(())
}

/// The API asks for a certificate and SSH for a key; nothing else listens.
fn closed(on: &Fixture) -> Result<()> {
    let sockets = on
        .machine
        .ssh(["cat", "/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp"])
        .run()?
        .text()?;
    let listening = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    for fields in listening.filter(|fields| fields.get(3).is_some_and(|state| *state == "0A")) {
        let port = fields[1].rsplit(':').next().unwrap_or_default();
        ensure!(port == "0016" || port == "0948", "port {port} (hex) listens: {sockets}");
    }
    Ok(())
}
