//! The daemon killed in the middle of a pull.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use machine_e2e::registry::{Registry, tunnel};
use machine_e2e::{Check, Machine, Run, archive, eventually};
use serde_json::json;

use crate::survival::daemon;

pub(crate) const CHECKS: &[Check<Machine>] =
    &[("a_pull_that_was_killed_leaves_nothing_and_succeeds_again", killed)];

/// Enough for the blob to be under way, less than all of it.
const PASSED_ON: usize = 300_000;

fn killed(on: &Machine) -> Result<()> {
    let registry = Registry::open()?;
    let name = format!("{}/big:1", registry.host);
    // A layer that no other image of this machine has, and that does not get smaller.
    let mut content = vec![0; 4 * PASSED_ON];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut content)?;
    let layer = archive::layer(&[("content", &content)])?;
    let image = archive::docker_archive(&name, json!({}), &[layer])?;
    on.docker(["load"]).run_with(&image)?.ok()?;
    let way = registry.reach(on)?;
    on.docker(["push", &name]).run()?.ok()?;
    on.docker(["rmi", &name]).run()?.ok()?;
    drop(way);

    let stopped = Arc::new(AtomicBool::new(false));
    let through = stalling(&registry.host, Arc::clone(&stopped))?;
    let port = registry.port();
    let way = tunnel(on, port, through)?;
    let before = daemon(on)?;
    let mut pull = on.docker(["pull", &name]).spawn()?;
    eventually("the pull is under way", || Ok(stopped.load(Ordering::SeqCst)))?;
    // The connection dies with the daemon, so the command's own status says nothing.
    drop(on.ssh(["kill", "-9", &before]).run()?);
    pull.wait()?;
    drop(way);
    eventually("another daemon serves", || Ok(on.docker(["ps"]).run()?.code == 0))?;
    ensure!(on.docker(["images", "-q", &name]).run()?.text()?.is_empty(), "half an image");
    let left = on.ssh(["ls", "/var/lib/docker/tmp"]).run()?.text()?;
    ensure!(left.is_empty(), "left behind: {left}");

    let way = registry.reach(on)?;
    on.docker(["pull", &name]).run()?.ok()?;
    on.docker(["rmi", &name]).run()?.ok()?;
    drop(way);
    Ok(())
}

/// A port that leads to the registry until so many bytes have come from there.
fn stalling(registry: &str, stopped: Arc<AtomicBool>) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let registry = registry.to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (registry, stopped) = (registry.clone(), Arc::clone(&stopped));
            std::thread::spawn(move || drop(pass(client, &registry, &stopped)));
        }
    });
    Ok(port)
}

fn pass(client: TcpStream, registry: &str, stopped: &AtomicBool) -> Result<()> {
    let server = TcpStream::connect(registry)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || drop(std::io::copy(&mut from_client, &mut to_server)));
    let (mut from_server, mut to_client) = (server, client);
    let (mut buffer, mut passed) = ([0; 4096], 0);
    while passed < PASSED_ON {
        let length = from_server.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        to_client.write_all(&buffer[..length])?;
        passed += length;
    }
    stopped.store(true, Ordering::SeqCst);
    // Silent, but open for as long as the test runs.
    loop {
        std::thread::park();
    }
}
