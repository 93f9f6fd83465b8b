//! What containers may use and do use.

use serde_json::{Value, json};

use crate::rig::{Rig, soon};

async fn running(rig: &Rig) -> String {
    let id = rig.create("web", json!({ "Image": "busybox", "Cmd": ["sleep", "100"] })).await;
    rig.start("web").await;
    id
}

#[tokio::test]
async fn a_paused_container_is_shown_as_such() {
    let rig = Rig::with_busybox().await;
    let id = running(&rig).await;
    assert_eq!(rig.post("/containers/web/pause", Value::Null).await.status, 204);
    let state = rig.get("/containers/web/json").await.json()["State"].clone();
    assert_eq!((&state["Status"], &state["Running"]), (&json!("paused"), &json!(true)));
    assert_eq!(state["Paused"], json!(true));
    let listed =
        rig.get("/containers/json?filters=%7B%22status%22:%5B%22paused%22%5D%7D").await.json();
    assert!(listed[0]["Status"].as_str().unwrap().ends_with(" (Paused)"), "{listed}");
    let again = rig.post("/containers/web/pause", Value::Null).await;
    let text = format!("Container {id} is already paused");
    assert_eq!((again.status, again.message()), (409, text));
    assert_eq!(rig.post("/containers/web/unpause", Value::Null).await.status, 204);
    assert_eq!(rig.post("/containers/web/unpause", Value::Null).await.status, 500);
}

#[tokio::test]
async fn an_update_says_what_it_did_not_do() {
    let rig = Rig::with_busybox().await;
    running(&rig).await;
    let change = json!({
        "CpuShares": 512, "Memory": 33_554_432, "MemorySwap": -1, "PidsLimit": -1,
        "RestartPolicy": { "Name": "always" },
    });
    let answer = rig.post("/containers/web/update", change).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "Warnings": null })));
    let host = rig.get("/containers/web/json").await.json()["HostConfig"].clone();
    assert_eq!((&host["CpuShares"], &host["PidsLimit"]), (&json!(512), &json!(0)));
    assert_eq!(host["RestartPolicy"]["Name"], "always");
    let answer = rig.post("/containers/web/update", json!({ "OomKillDisable": true })).await;
    let text = "Your kernel does not support OomKillDisable. OomKillDisable discarded.";
    assert_eq!(answer.json(), json!({ "Warnings": [text] }));
    let answer = rig.post("/containers/web/update", json!({ "Memory": 1000 })).await;
    assert_eq!((answer.status, &*answer.message()), (400, "Minimum memory limit allowed is 6MB"));
    let answer = rig.post("/containers/web/update", json!({ "Memory": 1 << 30 })).await;
    assert_eq!(answer.status, 409, "swap has to be named as well: {}", answer.message());

    // Clients before 1.40 send a 0 that means nothing.
    rig.post("/containers/web/update", json!({ "PidsLimit": 7 })).await;
    rig.post("/v1.39/containers/web/update", json!({ "PidsLimit": 0, "CpuShares": 2 })).await;
    let host = rig.get("/containers/web/json").await.json()["HostConfig"].clone();
    assert_eq!((&host["CpuShares"], &host["PidsLimit"]), (&json!(2), &json!(7)));
}

#[tokio::test]
async fn stats_have_what_the_docker_command_computes_with() {
    let rig = Rig::with_busybox().await;
    let id = rig.create("web", json!({ "Image": "busybox", "Cmd": ["sleep", "100"] })).await;
    let stopped = rig.get("/containers/web/stats?stream=0").await.json();
    assert_eq!(stopped["name"], "/web");
    assert_eq!(stopped["id"], id);
    assert_eq!(stopped["read"], "0001-01-01T00:00:00Z");
    assert_eq!(stopped["memory_stats"], json!({}));
    assert_eq!(stopped["pids_stats"], json!({}));
    assert_eq!(stopped.get("networks"), None);
    rig.start("web").await;

    let stats = rig.get("/containers/web/stats?stream=0&one-shot=1").await.json();
    assert_eq!(stats["preread"], "0001-01-01T00:00:00Z");
    assert_eq!(stats["cpu_stats"]["system_cpu_usage"], 70);
    assert_eq!(stats["cpu_stats"]["online_cpus"], 2);
    assert_eq!(stats["precpu_stats"].get("system_cpu_usage"), None);
    assert_eq!(stats["memory_stats"]["limit"], 1 << 30);
    assert_eq!(stats["networks"]["eth0"]["rx_bytes"], 0);
    assert_eq!(stats["blkio_stats"]["io_service_bytes_recursive"], Value::Null);
    assert_eq!(stats["pids_stats"]["limit"], json!(u64::MAX));
    let twice = rig.get("/containers/web/stats?stream=false").await.json();
    assert_eq!(twice["precpu_stats"]["system_cpu_usage"], 70);

    let both = rig.get("/containers/web/stats?one-shot=1").await;
    let text = "cannot have stream=true and one-shot=true";
    assert_eq!((both.status, &*both.message()), (400, text));
    assert_eq!(rig.get("/containers/nobody/stats").await.status, 404);
}

#[tokio::test]
async fn a_stream_of_stats_ends_when_the_container_is_removed() {
    let rig = Rig::with_busybox().await;
    running(&rig).await;
    let (mut stream, head) = rig.raw("GET /containers/web/stats HTTP/1.1", "").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    // The size of the first piece.
    let first = read_line(&mut stream).await;
    assert!(usize::from_str_radix(first.trim(), 16).unwrap() > 100, "{first}");
    let removed = rig.send("DELETE", "/containers/web?force=1", bytes::Bytes::new()).await;
    assert_eq!(removed.status, 204);
    while read_line(&mut stream).await.trim() != "0" {}
}

async fn read_line(stream: &mut tokio::io::DuplexStream) -> String {
    use tokio::io::AsyncReadExt;
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        line.push(soon(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(line).unwrap()
}
