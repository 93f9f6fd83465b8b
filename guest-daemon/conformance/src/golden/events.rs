//! What the engine tells while containers, images and volumes come and go.

use anyhow::{Result, ensure};
use http::Method;
use serde_json::Value;

use super::Topic;
use crate::engine::Engine;

/// Commands of the docker client whose events are compared. `NAME` is the container's name.
const STORIES: &[(&str, &[&[&str]])] = &[
    ("run", &[&["run", "--rm", "--name", "NAME", "-l", "a=b", "busybox", "true"]]),
    ("fail", &[&["run", "--rm", "--name", "NAME", "busybox", "sh", "-c", "exit 7"]]),
    (
        "long",
        &[
            &["run", "--detach", "--name", "NAME", "busybox", "sleep", "1000"],
            &["exec", "NAME", "true"],
            &["rename", "NAME", "NAME-2"],
            &["restart", "--timeout", "0", "NAME-2"],
            &["kill", "--signal", "KILL", "NAME-2"],
            &["wait", "NAME-2"],
            &["rm", "NAME-2"],
        ],
    ),
    (
        "stop",
        &[
            &[
                "run",
                "--detach",
                "--name",
                "NAME",
                "--stop-signal",
                "KILL",
                "busybox",
                "sleep",
                "1000",
            ],
            &["stop", "NAME"],
            &["rm", "--force", "NAME"],
        ],
    ),
    ("image", &[&["tag", "spare:1", "NAME:1"], &["rmi", "NAME:1"]]),
    (
        "volume",
        &[
            &["volume", "create", "NAME"],
            &["run", "--rm", "-v", "NAME:/v", "--name", "NAME-user", "busybox", "true"],
            &["volume", "rm", "NAME"],
        ],
    ),
    (
        "archive",
        &[
            &["create", "--name", "NAME", "busybox", "true"],
            &["cp", "NAME:/etc/passwd", "/dev/null"],
            &["export", "--output", "/dev/null", "NAME"],
            &["commit", "NAME", "NAME:committed"],
            &["rmi", "NAME:committed"],
            &["rm", "NAME"],
        ],
    ),
    (
        "pause",
        &[
            &["run", "--detach", "--name", "NAME", "busybox", "sleep", "1000"],
            &["pause", "NAME"],
            &["unpause", "NAME"],
            &["update", "--pids-limit", "50", "NAME"],
            &["top", "NAME"],
            &["rm", "--force", "NAME"],
        ],
    ),
];

pub(super) fn topics() -> Vec<Topic> {
    STORIES
        .iter()
        .map(|(name, story)| {
            Topic::new(format!("events:{name}"), move |engine| {
                told(engine, &format!("golden-events-{name}"), story)
            })
        })
        .collect()
}

/// Lives through the story and returns its events: those in which its name or its container is.
fn told(engine: &Engine, name: &str, story: &[&[&str]]) -> Result<Value> {
    let since = engine.now()?;
    for words in story {
        let words: Vec<String> = words.iter().map(|word| word.replace("NAME", name)).collect();
        let ran = engine.run(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
        ensure!(words[0] != "rm" || ran.code == 0, "{ran}");
    }
    let until = engine.now()?;
    let path = format!("/events?since={since}&until={until}");
    let events = engine.request(Method::GET, &path, None)?.objects()?;
    let ids: Vec<String> = events
        .iter()
        .filter(|event| event.to_string().contains(name))
        .filter_map(|event| Some(event["Actor"]["ID"].as_str()?.to_owned()))
        .filter(|id| !id.starts_with("sha256:"))
        .collect();
    let own = |event: &Value| {
        let text = event.to_string();
        text.contains(name) || ids.iter().any(|id| text.contains(id))
    };
    let mut own: Vec<Value> = events.into_iter().filter(own).collect();
    own.iter_mut().for_each(hide_images);
    ensure!(!own.is_empty(), "nothing was told of {name}");
    Ok(own.into())
}

/// A committed image has the time in it, and so an id of its own.
fn hide_images(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with("sha256:") => "<image>".clone_into(text),
        Value::Object(members) => members.values_mut().for_each(hide_images),
        _ => {}
    }
}
