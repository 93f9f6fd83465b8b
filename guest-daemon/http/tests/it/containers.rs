//! Containers from create to remove.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::rig::{Rig, soon};

#[tokio::test]
async fn a_container_lives_and_tells() {
    let rig = Rig::with_busybox().await;
    let id = rig
        .create("web", json!({ "Image": "busybox", "Cmd": ["sh", "-c", "echo hi; exit 42"] }))
        .await;
    assert_eq!(id.len(), 64);
    rig.start("web").await;
    let wait = soon(rig.post("/containers/web/wait", Value::Null)).await;
    assert_eq!(wait.json(), json!({ "StatusCode": 42 }));
    assert_eq!(wait.header("content-type"), "application/json");

    let inspected = rig.get(&format!("/containers/{}/json", &id[..12])).await.json();
    assert_eq!(inspected["Name"], "/web");
    assert_eq!(inspected["State"]["Status"], "exited");
    assert_eq!(inspected["State"]["ExitCode"], 42);
    let all = rig.get("/containers/json?all=1").await.json();
    assert_eq!(all[0]["Id"], id);
    let status = all[0]["Status"].as_str().unwrap();
    assert!(status.starts_with("Exited (42) "), "{status}");
    assert_eq!(rig.get("/containers/json").await.json(), json!([]));

    let logs = rig.get("/containers/web/logs?stdout=1&stderr=1").await;
    assert_eq!(logs.header("content-type"), "application/vnd.docker.multiplexed-stream");
    assert_eq!(&logs.body[..], b"\x01\0\0\0\0\0\0\x03hi\n");
    let old = rig.get("/v1.41/containers/web/logs?stdout=1").await;
    assert_eq!(old.header("content-type"), "application/vnd.docker.raw-stream");

    assert_eq!(rig.send("DELETE", "/containers/web", Bytes::new()).await.status, 204);
    let gone = rig.get("/containers/web/json").await;
    assert_eq!((gone.status, &*gone.message()), (404, "No such container: web"));
}

#[tokio::test]
async fn what_is_already_so_is_304() {
    let rig = Rig::with_busybox().await;
    rig.create("web", json!({ "Image": "busybox", "Cmd": ["sleep", "99"] })).await;
    let again = |verb: &'static str| rig.post(verb, Value::Null);
    assert_eq!(again("/containers/web/start").await.status, 204);
    assert_eq!(again("/containers/web/start").await.status, 304);
    assert_eq!(again("/containers/web/stop?t=1").await.status, 204);
    assert_eq!(again("/containers/web/stop?t=1").await.status, 304);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_400_with_the_words_the_cli_looks_for() {
    let rig = Rig::with_busybox().await;
    rig.create("bad", json!({ "Image": "busybox", "Cmd": ["nosuch"] })).await;
    let answer = rig.post("/containers/bad/start", Value::Null).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.message().contains("executable file not found in $PATH"),
        "{}",
        answer.message()
    );
}

#[tokio::test]
async fn an_image_that_is_not_there_is_404() {
    let rig = Rig::new().await;
    let answer = rig.post("/containers/create", json!({ "Image": "nosuch" })).await;
    assert_eq!((answer.status, &*answer.message()), (404, "No such image: nosuch:latest"));
}

#[tokio::test]
async fn a_name_in_use_is_a_conflict() {
    let rig = Rig::with_busybox().await;
    let id = rig.create("web", json!({ "Image": "busybox" })).await;
    let answer = rig.post("/containers/create?name=web", json!({ "Image": "busybox" })).await;
    assert_eq!(answer.status, 409);
    assert_eq!(
        answer.message(),
        format!(
            "Conflict. The container name \"/web\" is already in use by container \"{id}\". You \
             have to remove (or rename) that container to be able to reuse that name."
        )
    );
    let invalid = rig.post("/containers/create?name=a%20b", json!({ "Image": "busybox" })).await;
    assert_eq!(invalid.status, 400);
}

#[tokio::test]
async fn a_body_is_decoded_whatever_it_claims_to_be() {
    let rig = Rig::with_busybox().await;
    let body = r#"{"Image":"busybox"}"#;
    let request = "POST /containers/create HTTP/1.1\r\nContent-Type: text/plain";
    let (_, head) = rig.raw(request, body).await;
    assert!(head.starts_with("http/1.1 201"), "{head}");
}

#[tokio::test]
async fn bad_bodies_are_refused() {
    let rig = Rig::new().await;
    let post = |body: &'static str| rig.send("POST", "/containers/create", Bytes::from(body));
    let broken = post("{").await;
    assert_eq!(broken.status, 400);
    assert!(broken.message().starts_with("invalid JSON: "), "{}", broken.message());
    assert_eq!(post("").await.message(), "invalid JSON: got EOF while reading request body");
    assert_eq!(post("{}").await.message(), "config cannot be empty in order to create a container");
    let deep = "[".repeat(100_000);
    assert_eq!(rig.send("POST", "/containers/create", Bytes::from(deep)).await.status, 400);
    let huge = format!("{{\"Image\":\"{}\"}}", "x".repeat(5 << 20));
    assert_eq!(rig.send("POST", "/containers/create", Bytes::from(huge)).await.status, 413);
}

#[tokio::test]
async fn a_log_needs_a_stream() {
    let rig = Rig::with_busybox().await;
    rig.create("web", json!({ "Image": "busybox" })).await;
    let answer = rig.get("/containers/web/logs").await;
    assert_eq!(
        (answer.status, &*answer.message()),
        (400, "Bad parameters: you must choose at least one stream")
    );
}

#[tokio::test]
async fn an_exec_is_inspected_as_docker_does() {
    let rig = Rig::with_busybox().await;
    let id = rig.create("web", json!({ "Image": "busybox", "Cmd": ["sleep", "9"] })).await;
    let early = rig.post("/containers/web/exec", json!({ "Cmd": ["true"] })).await;
    assert_eq!(early.status, 409, "{}", early.message());
    rig.start("web").await;
    let created = rig.post("/containers/web/exec", json!({ "Cmd": ["echo", "hi"] })).await;
    assert_eq!(created.status, 201);
    let exec = created.json()["Id"].as_str().unwrap().to_owned();
    let document = rig.get(&format!("/exec/{exec}/json")).await.json();
    assert_eq!(document["ContainerID"], id);
    assert_eq!(document["ExitCode"], Value::Null);
    let missing = rig.get("/exec/nosuch/json").await;
    assert_eq!((missing.status, &*missing.message()), (404, "No such exec instance: nosuch"));
    let empty = rig.post("/containers/web/exec", json!({ "Cmd": [] })).await;
    assert_eq!((empty.status, &*empty.message()), (400, "No exec command specified"));
}

#[tokio::test]
async fn health_is_shown_where_there_is_a_check() {
    let rig = Rig::with_busybox().await;
    let check = json!({ "Test": ["CMD", "true"], "Interval": 1_000_000 });
    let config = json!({ "Image": "busybox", "Cmd": ["sleep", "9"], "Healthcheck": check });
    rig.create("web", config).await;
    assert_eq!(rig.get("/containers/web/json").await.json()["State"].get("Health"), None);
    rig.start("web").await;
    let healthy = async {
        while rig.get("/containers/web/json").await.json()["State"]["Health"]["Status"] != "healthy"
        {
            tokio::task::yield_now().await;
        }
    };
    soon(healthy).await;
    let health = rig.get("/containers/web/json").await.json()["State"]["Health"].take();
    assert_eq!((&health["FailingStreak"], &health["Log"][0]["ExitCode"]), (&json!(0), &json!(0)));
    assert!(health["Log"][0]["End"].as_str().unwrap().ends_with('Z'), "{health}");
    let listed = rig.get("/containers/json").await.json();
    assert!(listed[0]["Status"].as_str().unwrap().ends_with(" (healthy)"), "{listed}");
    let short = json!({ "Image": "busybox", "Healthcheck": { "Interval": 1 } });
    let refused = rig.post("/containers/create", short).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.message(), "Interval in Healthcheck cannot be less than 1ms");
}

#[tokio::test]
async fn prune_answers_null_when_there_was_nothing() {
    let rig = Rig::with_busybox().await;
    let id = rig.create("web", json!({ "Image": "busybox" })).await;
    let pruned = rig.post("/containers/prune", Value::Null).await.json();
    assert_eq!(pruned["ContainersDeleted"], json!([id]));
    let answer = rig.post("/containers/prune", Value::Null).await;
    assert_eq!(&answer.body[..], b"{\"ContainersDeleted\":null,\"SpaceReclaimed\":0}\n");
}

#[tokio::test]
async fn checkpoints_are_refused_with_a_reason() {
    let rig = Rig::new().await;
    let said = "checkpointing containers is not implemented yet";
    let listed = rig.get("/containers/web/checkpoints").await;
    assert_eq!((listed.status, &*listed.message()), (501, said));
    let made = rig.post("/containers/web/checkpoints", json!({ "CheckpointID": "c" })).await;
    assert_eq!(made.status, 501);
    let path = "/containers/web/checkpoints/c";
    assert_eq!(rig.send("DELETE", path, Bytes::new()).await.status, 501);
    assert_eq!(rig.post("/containers/web/start?checkpoint=c", Value::Null).await.status, 501);
}

#[tokio::test]
async fn an_old_client_waits_for_its_head() {
    let rig = Rig::with_busybox().await;
    rig.create("web", json!({ "Image": "busybox", "Cmd": ["false"] })).await;
    rig.start("web").await;
    let wait = soon(rig.post("/v1.29/containers/web/wait?condition=nonsense", Value::Null)).await;
    assert_eq!(wait.json(), json!({ "StatusCode": 1 }));
    assert_eq!(wait.header("content-length"), "17");
}
