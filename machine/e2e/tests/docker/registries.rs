//! Pushing to and pulling from Debian's registry.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, ensure};
use machine_e2e::registry::Registry;
use machine_e2e::{Check, Run, archive};
use serde_json::{Value, json};
use sha2::Digest;

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("what_is_pushed_can_be_pulled_with_its_digest", there_and_back),
    ("an_image_that_is_missing_is_pulled_by_run", run_missing),
    ("all_tags_travel_together", all_tags),
    ("a_layer_is_shared_between_repositories", mounted),
    ("a_registry_with_users_wants_to_know_who_it_is", log_in),
    ("what_is_not_there_is_told_in_dockers_words", missing),
    ("the_registry_is_asked_about_images", distribution),
    ("blobs_may_have_digests_of_another_algorithm", long_digests),
];

/// An image of its own, so that checks do not meet.
fn load(on: &Fixture, name: &str) -> Result<()> {
    let config = json!({"Cmd": ["sh"], "Env": ["PATH=/bin"], "Labels": {"check": name}});
    let own = archive::layer(&[("own", name.as_bytes())])?;
    let image = archive::docker_archive(name, config, &[archive::busybox_root()?, own])?;
    on.docker(["load"]).run_with(&image)?.ok()
}

fn id(on: &Fixture, name: &str) -> Result<String> {
    on.text(&["image", "inspect", "-f", "{{.Id}}", name])
}

fn there_and_back(on: &Fixture) -> Result<()> {
    let registry = Registry::open()?;
    let _tunnel = registry.reach(&on.machine)?;
    let name = format!("{}/there/tool:1", registry.host);
    load(on, &name)?;
    let pushed = on.text(&["push", &name])?;
    ensure!(pushed.contains("1: digest: sha256:"), "{pushed}");
    let again = on.text(&["push", &name])?;
    ensure!(again.contains("Layer already exists"), "{again}");
    let before = id(on, &name)?;
    let by_digest = on.text(&["image", "inspect", "-f", "{{index .RepoDigests 0}}", &name])?;
    on.text(&["rmi", &name])?;
    let pulled = on.text(&["pull", &name])?;
    ensure!(pulled.contains("Status: Downloaded newer image for"), "{pulled}");
    ensure!(id(on, &name)? == before, "another id");
    let pulled = on.text(&["pull", &name])?;
    ensure!(pulled.contains("Status: Image is up to date for"), "{pulled}");
    on.text(&["rmi", &name])?;
    on.text(&["pull", &by_digest])?;
    ensure!(id(on, &by_digest)? == before, "another id");
    let seen = on.text(&["run", "--rm", &by_digest, "sh", "-c", "ls -l /bin/busybox; id"])?;
    ensure!(seen.contains("uid=0(root)"), "{seen}");
    on.text(&["rmi", &by_digest]).map(drop)
}

fn run_missing(on: &Fixture) -> Result<()> {
    let registry = Registry::open()?;
    let _tunnel = registry.reach(&on.machine)?;
    let name = format!("{}/run:latest", registry.host);
    load(on, &name)?;
    on.text(&["push", &name])?;
    on.text(&["rmi", &name])?;
    let ran = on.docker(["run", "--rm", &name, "echo", "hello"]).run()?;
    ran.says(&format!("Unable to find image '{name}' locally"))?;
    ran.says("Pull complete")?;
    ensure!(ran.text()? == "hello", "{ran}");
    on.text(&["rmi", &name]).map(drop)
}

fn all_tags(on: &Fixture) -> Result<()> {
    let registry = Registry::open()?;
    let _tunnel = registry.reach(&on.machine)?;
    let repository = format!("{}/all", registry.host);
    for tag in ["1", "2"] {
        load(on, &format!("{repository}:{tag}"))?;
    }
    let pushed = on.text(&["push", "-a", &repository])?;
    ensure!(pushed.contains("1: digest:") && pushed.contains("2: digest:"), "{pushed}");
    for tag in ["1", "2"] {
        on.text(&["rmi", &format!("{repository}:{tag}")])?;
    }
    on.text(&["pull", "-a", &repository])?;
    for tag in ["1", "2"] {
        on.text(&["rmi", &format!("{repository}:{tag}")])?;
    }
    Ok(())
}

fn mounted(on: &Fixture) -> Result<()> {
    let registry = Registry::open()?;
    let _tunnel = registry.reach(&on.machine)?;
    let (name, copy) = (format!("{}/first", registry.host), format!("{}/copy", registry.host));
    load(on, &name)?;
    on.text(&["push", &name])?;
    on.text(&["tag", &name, &copy])?;
    let pushed = on.text(&["push", &copy])?;
    ensure!(pushed.contains("Mounted from"), "{pushed}");
    on.text(&["rmi", &name, &copy]).map(drop)
}

fn log_in(on: &Fixture) -> Result<()> {
    let registry = Registry::guarded()?;
    let _tunnel = registry.reach(&on.machine)?;
    let name = format!("{}/secret:1", registry.host);
    load(on, &name)?;
    let refused = on.docker(["push", &name]).run()?;
    refused.code(1)?.says("no basic auth credentials")?;
    let login = ["login", "-u", "joe", "--password-stdin", &registry.host];
    let wrong = on.docker(login).run_with(b"wrong")?;
    wrong.code(1)?.says("401 Unauthorized")?;
    let right = on.docker(login).run_with(b"secret")?;
    ensure!(right.text()?.contains("Login Succeeded"), "{right}");
    on.text(&["push", &name])?;
    on.text(&["rmi", &name])?;
    on.text(&["pull", &name])?;
    on.text(&["logout", &registry.host])?;
    on.text(&["rmi", &name])?;
    let refused = on.docker(["pull", &name]).run()?;
    refused.code(1)?.says("no basic auth credentials").map(drop)
}

fn missing(on: &Fixture) -> Result<()> {
    let registry = Registry::open()?;
    let _tunnel = registry.reach(&on.machine)?;
    let name = format!("{}/nosuch:1", registry.host);
    on.docker(["pull", &name])
        .run()?
        .code(1)?
        .says(&format!("manifest for {name} not found: manifest unknown: manifest unknown"))?;
    on.docker(["push", &name]).run()?.code(1)?.says("An image does not exist locally")?;
    Ok(())
}

fn distribution(on: &Fixture) -> Result<()> {
    let registry = Registry::open()?;
    let _tunnel = registry.reach(&on.machine)?;
    let name = format!("{}/asked:1", registry.host);
    load(on, &name)?;
    let pushed = on.text(&["push", &name])?;
    let digest = pushed.split("digest: ").nth(1).and_then(|rest| rest.split(' ').next());
    let digest = digest.context("no digest")?;
    let answer = get(on, &format!("/v1.51/distribution/{name}/json"))?;
    ensure!(answer["Descriptor"]["digest"] == *digest, "{answer}");
    ensure!(answer["Platforms"][0]["architecture"] == "amd64", "{answer}");
    on.text(&["rmi", &name]).map(drop)
}

fn long_digests(on: &Fixture) -> Result<()> {
    let registry = Registry::open()?;
    let _tunnel = registry.reach(&on.machine)?;
    let name = format!("{}/long:1", registry.host);
    let config = json!({"Cmd": ["sh"], "Env": ["PATH=/bin"]});
    let digest = |content: &[u8]| format!("sha512:{}", hex::encode(sha2::Sha512::digest(content)));
    let layers = [archive::busybox_root()?, archive::layer(&[("long", b"digest")])?];
    registry.put_image_as("long", "1", &config, &layers, digest)?;
    on.text(&["pull", &name])?;
    ensure!(on.text(&["run", "--rm", &name, "cat", "/long"])? == "digest");
    let id = archive::digest(archive::image_config(&config, &layers).as_bytes());
    ensure!(on.text(&["image", "inspect", "-f", "{{.Id}}", &name])? == id, "another id");
    let again = on.text(&["pull", &name])?;
    ensure!(again.contains("Image is up to date"), "{again}");
    on.text(&["push", &name])?;
    on.text(&["rmi", &name])?;
    on.text(&["pull", &name])?;
    on.text(&["rmi", &name]).map(drop)
}

/// What no docker command asks for.
fn get(on: &Fixture, path: &str) -> Result<Value> {
    let mut socket = UnixStream::connect(on.machine.directory().join("docker.sock"))?;
    write!(socket, "GET {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").with_context(|| answer.clone())?;
    serde_json::from_str(body).with_context(|| answer.clone())
}
