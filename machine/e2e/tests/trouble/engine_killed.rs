//! The daemon killed while images come, go out and are removed: what was complete is there, what
//! was not is nowhere to be seen and takes up no room, and the same command then succeeds.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use machine_e2e::kept::Kept;
use machine_e2e::proxy::{Proxy, Reply};
use machine_e2e::registry::{Registry, tunnel};
use machine_e2e::{Check, Machine, Run, archive, eventually};
use serde_json::json;

use crate::survival::daemon;

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("a_push_that_was_killed_is_nowhere_and_succeeds_again", push),
    ("a_load_that_was_killed_while_it_comes_leaves_nothing", load_coming),
    ("a_load_that_was_killed_while_it_unpacks_is_all_or_nothing", load_unpacking),
    ("a_removal_that_was_killed_goes_to_its_end", removal),
    ("a_prune_that_was_killed_can_be_repeated", prune),
];

/// Bytes of a layer, and a part of them that is under way.
const LARGE: usize = 2 << 20;
const PASSED_ON: usize = 300_000;
/// Files of a layer that takes a while to remove.
const FILES: usize = 1000;

/// Kills the daemon, and waits for the next one.
pub(crate) fn kill(on: &Machine) -> Result<()> {
    let before = daemon(on)?;
    // The connection dies with the daemon, so the command's own status says nothing.
    drop(on.ssh(["kill", "-9", &before]).run()?);
    served_by_another(on, &before)
}

fn served_by_another(on: &Machine, before: &str) -> Result<()> {
    eventually("another daemon serves", || {
        Ok(daemon(on).is_ok_and(|now| now != before) && on.docker(["ps"]).run()?.code == 0)
    })
}

/// Has the guest kill the daemon as soon as the shell's condition no longer holds.
fn kill_when_not(on: &Machine, condition: &str) -> Result<(Child, String)> {
    let before = daemon(on)?;
    let script = format!("echo watching; while {condition}; do :; done; kill -9 {before}");
    let mut watch =
        on.ssh([script.as_str()]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut line = String::new();
    BufReader::new(watch.stdout.take().context("no output")?).read_line(&mut line)?;
    ensure!(line == "watching\n", "{line:?}");
    Ok((watch, before))
}

fn folder_of(layer: &[u8]) -> String {
    format!("/var/lib/docker/layers/{}", archive::digest(layer).replace("sha256:", ""))
}

fn is_listed(on: &Machine, name: &str) -> Result<bool> {
    Ok(!on.docker(["images", "-q", name]).run()?.text()?.is_empty())
}

/// Reads every byte of an image.
fn is_whole(on: &Machine, name: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("saved.tar").display().to_string();
    on.docker(["save", "-o", &file, name]).run()?.ok()
}

fn push(on: &Machine) -> Result<()> {
    let registry = Registry::open()?;
    let name = format!("{}/out:1", registry.host);
    let before = Kept::on(on)?;
    let layer = archive::layer(&[("content", &archive::noise(LARGE)?)])?;
    let image = archive::docker_archive(&name, json!({}), &[layer])?;
    on.docker(["load"]).run_with(&image)?.ok()?;

    let proxy = Proxy::before(&registry.host, |asked| match asked.method.as_str() {
        "PATCH" => Reply::HoldRequest(PASSED_ON),
        _ => Reply::Pass,
    })?;
    let way = tunnel(on, registry.port(), proxy.port)?;
    let mut push = on.docker(["push", &name]).spawn()?;
    proxy.holds()?;
    kill(on)?;
    ensure!(!push.wait()?.success(), "it says that it is there");
    drop(way);
    drop(proxy);
    let tags = registry.tags("out")?;
    ensure!(!tags.contains("\"1\""), "half an image is there: {tags}");

    let _way = registry.reach(on)?;
    on.docker(["push", &name]).run()?.ok()?;
    on.docker(["rmi", &name]).run()?.ok()?;
    on.docker(["pull", &name]).run()?.ok()?;
    on.docker(["rmi", &name]).run()?.ok()?;
    before.is_all(on)
}

/// Sends half of an archive, and waits until it is there.
pub(crate) fn half_a_load(on: &Machine, image: &[u8]) -> Result<Child> {
    let mut load = on.docker(["load", "-q"]);
    let mut load = load.stdin(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut stdin = load.stdin.take().context("no input")?;
    stdin.write_all(&image[..image.len() / 2])?;
    load.stdin = Some(stdin);
    eventually("half of it has come", || {
        let size = on.ssh(["du", "-sk", "/var/lib/docker/tmp"]).run()?.text()?;
        let size: usize = size.split_whitespace().next().context("no size")?.parse()?;
        // The rest of the half may be anywhere on its way.
        Ok(size * 1024 > image.len() / 8)
    })?;
    Ok(load)
}

fn load_coming(on: &Machine) -> Result<()> {
    let before = Kept::on(on)?;
    let layer = archive::layer(&[("content", &archive::noise(2 * LARGE)?)])?;
    let image = archive::docker_archive("coming:1", json!({}), &[layer])?;
    let mut load = half_a_load(on, &image)?;
    kill(on)?;
    drop(load.stdin.take());
    ensure!(!load.wait()?.success(), "it says that it is there");
    ensure!(!is_listed(on, "coming:1")?, "half an image is listed");
    before.is_all(on)?;
    on.docker(["load"]).run_with(&image)?.ok()?;
    is_whole(on, "coming:1")?;
    on.docker(["rmi", "coming:1"]).run()?.ok()?;
    before.is_all(on)
}

fn load_unpacking(on: &Machine) -> Result<()> {
    let before = Kept::on(on)?;
    let first = archive::layer(&[("first", &archive::noise(1000)?)])?;
    let second = archive::layer(&[("second", &archive::noise(2 * LARGE)?)])?;
    let place = folder_of(&first);
    let image = archive::docker_archive("unpacked:1", json!({}), &[first, second])?;
    let (mut watch, daemon) = kill_when_not(on, &format!("[ ! -e {place} ]"))?;
    let loaded = on.docker(["load"]).run_with(&image)?;
    watch.wait()?;
    served_by_another(on, &daemon)?;
    if is_listed(on, "unpacked:1")? {
        is_whole(on, "unpacked:1")?;
    } else {
        ensure!(loaded.code != 0, "it is lost: {loaded}");
        before.is_all(on)?;
    }
    on.docker(["load"]).run_with(&image)?.ok()?;
    is_whole(on, "unpacked:1")?;
    on.docker(["rmi", "unpacked:1"]).run()?.ok()?;
    before.is_all(on)
}

/// A layer that takes a while to remove.
fn many_files() -> Result<Vec<u8>> {
    let content = archive::noise(16)?;
    let names: Vec<String> = (0..FILES).map(|number| format!("files/{number}")).collect();
    let files: Vec<(&str, &[u8])> =
        names.iter().map(|name| (name.as_str(), content.as_slice())).collect();
    archive::layer(&files)
}

fn load(on: &Machine, name: &str) -> Result<String> {
    let layer = many_files()?;
    let config = json!({"Labels": {"check": "killed"}});
    let place = folder_of(&layer);
    let image = archive::docker_archive(name, config, &[layer])?;
    on.docker(["load"]).run_with(&image)?.ok()?;
    Ok(place)
}

fn removal(on: &Machine) -> Result<()> {
    let before = Kept::on(on)?;
    load(on, "stays:1")?;
    let kept = Kept::on(on)?;
    let place = load(on, "goes:1")?;
    let (mut watch, daemon) = kill_when_not(on, &format!("[ -e {place} ]"))?;
    on.docker(["rmi", "goes:1"]).run()?;
    watch.wait()?;
    served_by_another(on, &daemon)?;
    // Its folder is gone, so it must be, too.
    let again = on.docker(["rmi", "goes:1"]).run()?;
    again.code(1)?.says("No such image: goes:1")?;
    kept.is_all(on)?;
    is_whole(on, "stays:1")?;
    on.docker(["rmi", "stays:1"]).run()?.ok()?;
    before.is_all(on)
}

fn prune(on: &Machine) -> Result<()> {
    let before = Kept::on(on)?;
    let names = ["pruned:1", "pruned:2", "pruned:3"];
    let places: Vec<String> = names.iter().map(|name| load(on, name)).collect::<Result<_>>()?;
    let all: Vec<String> = places.iter().map(|place| format!("[ -e {place} ]")).collect();
    let (mut watch, daemon) = kill_when_not(on, &all.join(" && "))?;
    let prune = ["image", "prune", "-a", "-f", "--filter", "label=check=killed"];
    on.docker(prune).run()?;
    watch.wait()?;
    served_by_another(on, &daemon)?;
    for name in names {
        if is_listed(on, name)? {
            is_whole(on, name)?;
        }
    }
    on.docker(prune).run()?.ok()?;
    before.is_all(on)
}
