//! Containers that run and have run: inspect, list, top, exec.

use anyhow::Result;
use http::Method;
use serde_json::{Value, json};

use super::Topic;
use crate::engine::Engine;

/// Arguments of ps.
const TOPS: &[&str] =
    &["", "aux", "axv", "axs", "axX", "axe", "axj", "-eL", "-eT", "-eLfj", "-fe%20e", "--context"];

pub(super) fn topics() -> Vec<Topic> {
    vec![
        Topic::new("running", |engine| of_running(engine, "golden-running", &[])),
        Topic::new("running:ports", |engine| {
            of_running(
                engine,
                "golden-open",
                &["-p", "127.0.0.1:18080:80", "-v", "/data", "-l", "a=b"],
            )
        }),
        Topic::new("running:host", |engine| {
            of_running(engine, "golden-of-host", &["--network", "host", "-it"])
        }),
        Topic::new("ended", ended),
        Topic::new("not-started", not_started),
        Topic::new("exec", exec),
        Topic::new("sizes", sizes),
    ]
}

/// Inspect, its entry in the list, and its processes.
fn of_running(engine: &Engine, name: &str, flags: &[&str]) -> Result<Value> {
    let run = ["run", "--detach", "--name", name];
    engine.text(&[&run, flags, &["busybox", "sleep", "1000"]].concat())?;
    let inspected = engine.get(&format!("/containers/{name}/json"))?;
    let listed = listed(engine, name)?;
    let top = |arguments: &&str| {
        let said = engine.get(&format!("/containers/{name}/top?ps_args={arguments}"))?;
        Ok(said["Titles"].clone())
    };
    let titles = TOPS.iter().map(top).collect::<Result<Vec<Value>>>()?;
    let stopped = engine.request(Method::POST, &format!("/containers/{name}/start"), None)?;
    engine.text(&["rm", "--force", "--volumes", name])?;
    Ok(json!({
        "inspected": inspected,
        "listed": listed,
        "titles": titles,
        "started again": stopped.status,
    }))
}

fn listed(engine: &Engine, name: &str) -> Result<Value> {
    engine.get(&format!("/containers/json?all=1&filters={{%22name%22:[%22{name}%22]}}"))
}

fn ended(engine: &Engine) -> Result<Value> {
    let name = "golden-ended";
    engine.run(&["run", "--name", name, "busybox", "sh", "-c", "exit 3"])?;
    let inspected = engine.get(&format!("/containers/{name}/json"))?;
    let listed = listed(engine, name)?;
    let waited = engine.request(Method::POST, &format!("/containers/{name}/wait"), None)?.json()?;
    engine.text(&["rm", name])?;
    Ok(json!({"inspected": inspected, "listed": listed, "waited": waited}))
}

fn not_started(engine: &Engine) -> Result<Value> {
    let name = "golden-not-started";
    let run = engine.run(&["run", "--name", name, "busybox", "no-such-program"])?;
    let inspected = engine.get(&format!("/containers/{name}/json"))?;
    engine.text(&["rm", name])?;
    Ok(json!({"code": run.code, "said": run.stderr, "state": inspected["State"]}))
}

fn exec(engine: &Engine) -> Result<Value> {
    let name = "golden-exec";
    engine.text(&["run", "--detach", "--name", name, "busybox", "sleep", "1000"])?;
    let body = json!({"Cmd": ["sh", "-c", "exit 4"], "AttachStdout": true, "Env": ["A=b"],
        "User": "1000", "WorkingDir": "/tmp", "DetachKeys": "ctrl-a"});
    let path = format!("/containers/{name}/exec");
    let created = engine.request(Method::POST, &path, Some(&body))?.json()?;
    let id = created["Id"].as_str().unwrap_or_default().to_owned();
    let before = engine.get(&format!("/exec/{id}/json"))?;
    let start = json!({"Detach": false});
    let started = engine.request(Method::POST, &format!("/exec/{id}/start"), Some(&start))?;
    let after = engine.get(&format!("/exec/{id}/json"))?;
    let again = engine.request(Method::POST, &format!("/exec/{id}/start"), Some(&start))?;
    engine.text(&["rm", "--force", name])?;
    Ok(json!({
        "created": created.as_object().map(|members| members.keys().collect::<Vec<_>>()),
        "before": before,
        "started": [started.status, started.content_type],
        "after": after,
        "again": [again.status, String::from_utf8_lossy(&again.body)],
    }))
}

fn sizes(engine: &Engine) -> Result<Value> {
    let name = "golden-sizes";
    engine.text(&["run", "--name", name, "busybox", "sh", "-c", "echo 12345 >/new"])?;
    let inspected = engine.get(&format!("/containers/{name}/json?size=1"))?;
    let listed = engine
        .get(&format!("/containers/json?all=1&size=1&filters={{%22name%22:[%22{name}%22]}}"))?;
    engine.text(&["rm", name])?;
    Ok(json!({
        "inspected": [inspected["SizeRw"], inspected["SizeRootFs"]],
        "listed": [listed[0]["SizeRw"], listed[0]["SizeRootFs"]],
    }))
}
