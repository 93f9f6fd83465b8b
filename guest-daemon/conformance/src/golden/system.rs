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
        Topic::new("images:nothing", |engine| of_image(engine, "reference", "absent")),
        Topic::new("images:shared-size", |engine| listed(engine, "", "&shared-size=1")),
        Topic::new("images:digests", |engine| listed(engine, "", "&digests=1&manifests=1")),
        Topic::new("df", |engine| disk_usage(engine, "golden-df", "/system/df")),
        Topic::new("df:types", |engine| {
            disk_usage(engine, "golden-df-types", "/system/df?type=volume&type=container")
        }),
        Topic::new("df:images", |engine| {
            disk_usage(engine, "golden-df-images", "/system/df?type=image&type=build-cache")
        }),
        Topic::new("df:1.41", |engine| {
            disk_usage(engine, "golden-df-old", "/v1.41/system/df?type=image")
        }),
    ];
    for version in ["1.24", "1.42", "1.47"] {
        topics.push(Topic::new(format!("images:{version}"), move |engine| {
            listed(engine, &format!("/v{version}"), "")
        }));
    }
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

/// Those that no check changes.
fn listed(engine: &Engine, version: &str, query: &str) -> anyhow::Result<Value> {
    let filters = "{%22reference%22:[%22elaborate%22,%22busybox%22]}";
    let mut images = engine.get(&format!("{version}/images/json?filters={filters}{query}"))?;
    settle(&mut images);
    Ok(images)
}

/// What is used by a container and a volume of this name, and by the images that no check changes.
fn disk_usage(engine: &Engine, name: &str, path: &str) -> anyhow::Result<Value> {
    let volume = format!("{name}:/data");
    let fill = ["run", "--rm", "-v", &volume, "busybox", "sh", "-c", "echo 12345 >/data/file"];
    engine.text(&fill)?;
    // One that never ran looks the same at every moment.
    engine.text(&["create", "--name", name, "-v", &volume, "busybox"])?;
    let usage = engine.get(path);
    engine.text(&["rm", name])?;
    engine.text(&["volume", "rm", name])?;
    let mut usage = usage?;
    let own = format!("/{name}");
    let mut only = |kind: &str, is_ours: &dyn Fn(&Value) -> bool| {
        if let Some(all) = usage[kind].as_array_mut() {
            all.retain(|one| is_ours(one));
        }
    };
    only("Images", &|image| {
        let tags = image["RepoTags"].as_array().into_iter().flatten();
        tags.filter_map(Value::as_str).any(|tag| matches!(tag, "busybox:latest" | "elaborate:1"))
    });
    only("Containers", &|container| container["Names"][0] == own);
    only("Volumes", &|volume| volume["Name"] == name);
    settle(&mut usage["Images"]);
    Ok(usage)
}

/// Images of one moment come in any order, and other checks make containers of them.
fn settle(images: &mut Value) {
    let Some(images) = images.as_array_mut() else { return };
    images.sort_by_key(|image| image["Id"].to_string());
    for image in images {
        if image["Containers"].as_i64().is_some_and(|count| count >= 0) {
            image["Containers"] = json!("counted");
        }
    }
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
