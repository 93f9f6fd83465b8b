//! What the engine says of itself, and of its images, volumes and networks.

use serde_json::{Value, json};

use super::Topic;
use crate::engine::Engine;

pub(super) fn topics() -> Vec<Topic> {
    let mut topics = vec![
        Topic::new("info", |engine| Ok(fields(engine.get("/info")?))),
        Topic::new("version", |engine| Ok(fields(engine.get("/version")?))),
        Topic::new("networks", networks),
        Topic::new("network:bridge", |engine| {
            let mut bridge = engine.get("/networks/bridge")?;
            bridge["Containers"] = Value::Null;
            Ok(bridge)
        }),
        Topic::new("images:list", |engine| of_image(engine, "reference", "elaborate")),
        Topic::new("images:label", |engine| of_image(engine, "label", "of.image=yes")),
    ];
    for image in ["busybox", "elaborate:1"] {
        topics.push(Topic::new(format!("image:{image}"), move |engine| {
            engine.get(&format!("/images/{image}/json"))
        }));
        topics.push(Topic::new(format!("history:{image}"), move |engine| {
            engine.get(&format!("/images/{image}/history"))
        }));
    }
    for version in ["1.24", "1.40", "1.43"] {
        topics.push(Topic::new(format!("image:{version}"), move |engine| {
            engine.get(&format!("/v{version}/images/busybox/json"))
        }));
    }
    topics.push(Topic::new("volume", volume));
    topics
}

/// dockerd lists them in any order.
fn networks(engine: &Engine) -> anyhow::Result<Value> {
    let listed = engine.get("/networks?filters={%22type%22:[%22builtin%22]}")?;
    let mut networks = listed.as_array().cloned().unwrap_or_default();
    networks.sort_by_key(|network| network["Name"].to_string());
    for network in &mut networks {
        network["Containers"] = Value::Null;
    }
    Ok(networks.into())
}

fn of_image(engine: &Engine, filter: &str, value: &str) -> anyhow::Result<Value> {
    let filters = json!({filter: [value]}).to_string().replace('"', "%22");
    engine.get(&format!("/images/json?filters={filters}"))
}

fn volume(engine: &Engine) -> anyhow::Result<Value> {
    let body = json!({"Name": "single", "Labels": {"a": "b"}});
    let created = engine.request(http::Method::POST, "/volumes/create", Some(&body))?.json()?;
    let inspected = engine.get("/volumes/single")?;
    let filters = "{%22name%22:[%22single%22]}";
    let listed = engine.get(&format!("/volumes?filters={filters}"))?;
    engine.text(&["volume", "rm", "single"])?;
    Ok(json!({"created": created, "inspected": inspected, "listed": listed}))
}

/// The kinds of the members, because their values are those of two different computers.
fn fields(document: Value) -> Value {
    match document {
        Value::Null => json!("null"),
        Value::Bool(value) => json!(value),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("text"),
        Value::Array(items) => {
            items.into_iter().next().map_or(json!([]), |first| json!([fields(first)]))
        }
        Value::Object(members) => {
            members.into_iter().map(|(name, member)| (name, fields(member))).collect()
        }
    }
}
