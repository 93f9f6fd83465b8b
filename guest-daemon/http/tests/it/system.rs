//! Ping, version, info, events; what is unknown, unbuilt or of another version.

use bytes::Bytes;
use engine::settings::{Proxies, Registries, Settings};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::rig::{Rig, soon};

#[tokio::test]
async fn ping_tells_clients_what_they_talk_to() {
    let rig = Rig::new().await;
    for (method, body) in [("GET", "OK"), ("HEAD", "")] {
        let answer = rig.send(method, "/_ping", Bytes::new()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, body);
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.header("api-version"), "1.51");
        assert_eq!(answer.header("ostype"), "linux");
        assert_eq!(answer.header("docker-experimental"), "false");
        assert_eq!(answer.header("builder-version"), "1");
        assert_eq!(answer.header("swarm"), "inactive");
        assert_eq!(answer.header("server"), "Docker/28.5.2 (linux)");
        assert_eq!(answer.header("cache-control"), "no-cache, no-store, must-revalidate");
        assert_eq!(answer.header("pragma"), "no-cache");
    }
}

#[tokio::test]
async fn every_path_exists_with_and_without_a_version() {
    let rig = Rig::new().await;
    for prefix in ["", "/v1.24", "/v1.32", "/v1.51"] {
        assert_eq!(rig.get(&format!("{prefix}/version")).await.status, 200, "{prefix}");
    }
    assert_eq!(rig.get("/v1.52/version").await.status, 400);
    assert_eq!(
        rig.get("/v1.99/info").await.message(),
        "client version 1.99 is too new. Maximum supported API version is 1.51"
    );
}

#[tokio::test]
async fn failures_are_json_and_negotiable() {
    let rig = Rig::new().await;
    let answer = rig.get("/v1.51/nonsense").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json(), json!({ "message": "page not found" }));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("api-version"), "1.51");
    assert_eq!(rig.post("/build", Value::Null).await.status, 501);
    assert_eq!(rig.get("/services?status=true").await.status, 503);
    assert_eq!(rig.get("/plugins").await.json(), json!([]));
    assert_eq!(rig.get("/plugins/nosuch/json").await.status, 404);
}

#[tokio::test]
async fn version_and_info_are_documents_the_docker_command_understands() {
    let rig = Rig::new().await;
    let version = rig.get("/version").await.json();
    assert_eq!(version["ApiVersion"], "1.51");
    assert_eq!(version["MinAPIVersion"], "1.24");
    assert_eq!(version["Arch"], "amd64");
    assert_eq!(version["Components"][0]["Name"], "Engine");
    let info = rig.get("/info").await.json();
    assert_eq!(info["Name"], "dev");
    assert_eq!(info["Driver"], "overlay2");
    assert_eq!(info["Swarm"]["LocalNodeState"], "inactive");
    assert_eq!(info.get("BridgeNfIptables"), None);
    assert_eq!(rig.get("/v1.41/info").await.json()["BridgeNfIptables"], true);
}

#[tokio::test]
async fn events_start_at_once_and_come_one_a_line() {
    let rig = Rig::with_busybox().await;
    let (stream, head) = rig.raw("GET /events HTTP/1.1", "").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    rig.create("web", json!({ "Image": "busybox" })).await;
    // Chunks have a line with their length before them.
    let mut lines = BufReader::new(stream).lines();
    let event: Value = loop {
        let line = soon(lines.next_line()).await.unwrap().unwrap();
        if let Ok(event @ Value::Object(_)) = serde_json::from_str(&line) {
            break event;
        }
    };
    assert_eq!(event["Type"], "container");
    assert_eq!(event["Action"], "create");
    assert_eq!(event["status"], "create");
    assert_eq!(event["Actor"]["Attributes"]["name"], "web");
}

#[tokio::test]
async fn unknown_filters_are_refused() {
    let rig = Rig::new().await;
    let answer = rig.get("/containers/json?filters=%7B%22nonsense%22%3A%5B%22x%22%5D%7D").await;
    assert_eq!((answer.status, &*answer.message()), (400, "invalid filter 'nonsense'"));
}

#[tokio::test]
async fn info_shows_what_the_engine_was_told_to_be_like() {
    let text = str::to_owned;
    let rig = Rig::with_settings(Settings {
        labels: vec![text("tier=ci")],
        registries: Registries {
            insecure_networks: vec![text("10.0.0.0/8")],
            insecure_hosts: vec![text("reg.lan:5000")],
            mirrors: vec![text("https://mirror.lan/")],
            ..Registries::default()
        },
        proxies: Proxies { https: text("http://joe:secret@proxy:3128"), ..Proxies::default() },
        debug: true,
        warnings: vec![text("--icc=false is not honoured")],
        ..Settings::default()
    })
    .await;
    let info = rig.get("/info").await.json();
    assert_eq!(info["Labels"], json!(["tier=ci"]));
    assert_eq!(info["Debug"], true);
    assert_eq!(info["LoggingDriver"], "json-file");
    assert_eq!(info["HttpsProxy"], "http://xxxxx:xxxxx@proxy:3128");
    assert_eq!(info["Warnings"], json!(["WARNING: --icc=false is not honoured"]));
    let registries = &info["RegistryConfig"];
    assert_eq!(registries["InsecureRegistryCIDRs"], json!(["10.0.0.0/8"]));
    assert_eq!(registries["Mirrors"], json!(["https://mirror.lan/"]));
    assert_eq!(
        registries["IndexConfigs"]["reg.lan:5000"],
        json!({ "Name": "reg.lan:5000", "Mirrors": [], "Secure": false, "Official": false })
    );
    assert_eq!(registries["IndexConfigs"]["docker.io"]["Mirrors"], json!(["https://mirror.lan/"]));
}

#[tokio::test]
async fn a_viewer_sees_containers_and_cannot_touch_them() {
    let mut rig = Rig::with_busybox().await;
    rig.create("web", json!({ "Image": "busybox", "Cmd": ["sleep", "9"] })).await;
    rig.only_look();
    let seen = rig.get("/v1.51/containers/json?all=1").await.json();
    assert_eq!(seen[0]["Names"], json!(["/web"]));
    let start = rig.post("/v1.51/containers/web/start", Value::Null).await;
    assert_eq!(start.status, 403);
    assert_eq!(
        start.message(),
        "permission denied: this client certificate may only look (its role is viewer), and POST \
         /containers/web/start may change something"
    );
    assert_eq!(rig.send("DELETE", "/containers/web", Bytes::new()).await.status, 403);
    assert_eq!(rig.get("/containers/web/json").await.json()["State"]["Status"], "created");
    let (_, head) = rig.upgrade("POST /containers/web/attach?stream=1&stdin=1 HTTP/1.1", "").await;
    assert!(head.starts_with("http/1.1 403"), "{head}");
}
