//! Registries that are slow, break, refuse, or are not there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use machine_e2e::proxy::{Asked, Proxy, Reply};
use machine_e2e::registry::{Registry, Tunnel, free_port, tunnel};
use machine_e2e::{Check, Run, archive};
use serde_json::json;

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("a_download_that_is_cut_goes_on_where_it_was", cut),
    ("a_slow_registry_is_waited_for_and_holds_nothing_up", slow),
    ("a_registry_that_is_being_restarted_is_asked_again", restarted),
    ("what_a_registry_refuses_is_told_and_leaves_nothing", refusals),
    ("a_registry_that_is_not_there_is_told_in_dockers_words", nobody),
];

/// Of the layer, and a part of them that comes.
const BYTES: usize = 600_000;
const PASSED_ON: usize = 300_000;

/// A registry with an image `x:1`, and what stands in front of it for the machine.
struct Far {
    name: String,
    proxy: Proxy,
    _way: Tunnel,
    _registry: Registry,
}

fn far(on: &Fixture, rule: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Result<Far> {
    let registry = Registry::open()?;
    let layer = archive::layer(&[("content", &archive::noise(BYTES)?)])?;
    registry.put_image("x", "1", &json!({"Cmd": ["/content"]}), &[layer])?;
    let proxy = Proxy::before(&registry.host, rule)?;
    let way = tunnel(&on.machine, registry.port(), proxy.port)?;
    Ok(Far { name: format!("{}/x:1", registry.host), proxy, _way: way, _registry: registry })
}

fn is_listed(on: &Fixture, name: &str) -> Result<bool> {
    Ok(!on.text(&["images", "-q", name])?.is_empty())
}

fn cut(on: &Fixture) -> Result<()> {
    let far = far(on, |asked| match asked.range.is_empty() {
        // The configuration is shorter, and comes.
        true if asked.is_blob() => Reply::Cut(PASSED_ON),
        _ => Reply::Pass,
    })?;
    on.text(&["pull", &far.name])?;
    let asked = far.proxy.asked();
    let goes_on = |asked: &Asked| asked.range.starts_with("bytes=") && asked.range != "bytes=0-";
    ensure!(asked.iter().any(goes_on), "{asked:?}");
    on.text(&["rmi", &far.name]).map(drop)
}

fn slow(on: &Fixture) -> Result<()> {
    let far = far(on, |asked| match asked.is_blob() {
        true => Reply::Hold(PASSED_ON),
        false => Reply::Pass,
    })?;
    let pull = on.docker(["pull", &far.name]).stdout(std::process::Stdio::null()).spawn();
    let mut pull = pull?;
    far.proxy.holds()?;
    ensure!(!is_listed(on, &far.name)?, "half an image is listed");
    on.text(&["tag", "busybox", "meanwhile:1"])?;
    on.text(&["rmi", "meanwhile:1"])?;
    far.proxy.release();
    ensure!(machine_e2e::command::wait(&mut pull, "docker pull")? == 0, "it did not go on");
    on.text(&["rmi", &far.name]).map(drop)
}

fn restarted(on: &Fixture) -> Result<()> {
    let seen = Mutex::new(BTreeSet::new());
    let far = far(on, move |asked| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Everything is asked for twice.
        let first = asked.method == "GET" && seen.insert(asked.path.clone());
        if first && asked.path != "/v2/" { Reply::status(503) } else { Reply::Pass }
    })?;
    on.text(&["pull", &far.name])?;
    on.text(&["rmi", &far.name]).map(drop)
}

fn refusals(on: &Fixture) -> Result<()> {
    let no = |status, code: &str, message: &str| Reply::Answer {
        status,
        headers: vec![("Content-Type", "application/json".to_owned())],
        body: json!({"errors": [{"code": code, "message": message}]}).to_string().into_bytes(),
    };
    let denied = || no(403, "DENIED", "requested access to the resource is denied");
    let pay = || no(429, "TOOMANYREQUESTS", "you have pulled enough");
    let current = Arc::new(Mutex::new((false, Reply::Pass)));
    let rule = Arc::clone(&current);
    let far = far(on, move |asked| {
        let (of_blobs, reply) = rule.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let meant = if of_blobs { asked.is_blob() } else { asked.is_manifest() };
        if meant { reply } else { Reply::Pass }
    })?;
    for (of_blobs, reply, why) in [
        (false, denied(), "denied: requested access to the resource is denied"),
        (false, Reply::status(401), "unauthorized: authentication required"),
        (false, pay(), "toomanyrequests: you have pulled enough"),
        (false, Reply::status(500), "received unexpected HTTP status: 500 Internal Server Error"),
        (true, no(404, "BLOB_UNKNOWN", "blob unknown to registry"), "blob unknown to registry"),
        (true, denied(), "denied: requested access to the resource is denied"),
        (true, pay(), "toomanyrequests: you have pulled enough"),
    ] {
        *current.lock().unwrap_or_else(PoisonError::into_inner) = (of_blobs, reply);
        on.docker(["pull", &far.name]).run()?.code(1)?.says(why)?;
        ensure!(!is_listed(on, &far.name)?, "half an image is listed: {why}");
    }
    Ok(())
}

fn nobody(on: &Fixture) -> Result<()> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let name = format!("{address}/x:1");
    let why =
        format!("Get \"http://{address}/v2/\": dial tcp {address}: connect: connection refused");
    on.docker(["pull", &name]).run()?.code(1)?.says(&why)?;
    on.text(&["tag", "busybox", &name])?;
    on.docker(["push", &name]).run()?.code(1)?.says(&why)?;
    on.text(&["rmi", &name])?;
    let login = ["login", "-u", "joe", "--password-stdin", &address];
    on.docker(login).run_with(b"secret")?.code(1)?.says(&why).map(drop)
}
