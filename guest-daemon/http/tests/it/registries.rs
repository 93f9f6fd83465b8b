//! Images from and to registries.

use serde_json::{Value, json};

use crate::rig::Rig;

/// The lines of a progress stream.
fn lines(body: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(body).unwrap();
    text.split_terminator("\r\n").map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn layer() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    header.set_mode(0o644);
    archive.append_data(&mut header, "file", b"hi".as_slice()).unwrap();
    archive.into_inner().unwrap()
}

#[tokio::test]
async fn a_pull_streams_dockers_lines() {
    let rig = Rig::new().await;
    let digest = rig.remote.add("tool:1", "amd64", &[layer()]);
    let path = "/images/create?fromImage=docker.io%2Flibrary%2Ftool&tag=1";
    let answer = rig.post(path, Value::Null).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let lines = lines(&answer.body);
    assert_eq!(lines[0], json!({ "status": "Pulling from library/tool", "id": "1" }));
    assert_eq!(lines[1]["status"], "Pulling fs layer");
    assert_eq!(lines[1]["progressDetail"], json!({}));
    let end = lines.len();
    assert_eq!(lines[end - 2], json!({ "status": format!("Digest: {digest}") }));
    let status = "Status: Downloaded newer image for tool:1";
    assert_eq!(lines[end - 1], json!({ "status": status }));
    let image = rig.get("/images/tool:1/json").await.json();
    assert_eq!(image["RepoDigests"], json!([format!("tool@{digest}")]));
}

#[tokio::test]
async fn a_registrys_no_is_a_status_before_and_a_line_after_the_first_line() {
    let rig = Rig::new().await;
    let answer = rig.post("/images/create?fromImage=nosuch&tag=1", Value::Null).await;
    assert_eq!(answer.status, 404);
    assert!(answer.message().starts_with("pull access denied for nosuch"), "{}", answer.message());
    rig.remote.add("tool:1", "amd64", &[layer()]);
    rig.remote.send_instead(&engine_digest(&layer()), b"wrong");
    let answer = rig.post("/images/create?fromImage=tool&tag=1", Value::Null).await;
    assert_eq!(answer.status, 200);
    let last = lines(&answer.body).pop().unwrap();
    assert_eq!(last["error"], last["errorDetail"]["message"]);
    assert!(last["error"].as_str().unwrap().contains("verification failed"), "{last}");
}

fn engine_digest(layer: &[u8]) -> String {
    use sha2::Digest;
    let hex: String =
        sha2::Sha256::digest(layer).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[tokio::test]
async fn a_push_ends_with_the_digest_for_programs() {
    let rig = Rig::with_busybox().await;
    rig.post("/images/busybox/tag?repo=reg.lan%2Ft&tag=1", Value::Null).await;
    let answer = rig.post("/images/reg.lan/t/push?tag=1", Value::Null).await;
    let lines = lines(&answer.body);
    let first = json!({ "status": "The push refers to repository [reg.lan/t]" });
    assert_eq!(lines[0], first);
    let aux = &lines.last().unwrap()["aux"];
    assert_eq!(aux["Tag"], "1");
    assert!(aux["Digest"].as_str().unwrap().starts_with("sha256:"), "{aux}");
    let missing = rig.post("/images/nosuch/push?tag=1", Value::Null).await;
    assert_eq!(missing.status, 200);
    let text = String::from_utf8_lossy(&missing.body).into_owned();
    assert!(text.contains("An image does not exist locally with the tag: nosuch"), "{text}");
}

#[tokio::test]
async fn logging_in_answers_with_an_identity_token_or_401() {
    let rig = Rig::new().await;
    let config = json!({ "username": "joe", "password": "secret", "serveraddress": "reg.lan" });
    let answer = rig.post("/auth", config).await;
    assert_eq!(
        answer.json(),
        json!({ "IdentityToken": "token of joe", "Status": "Login Succeeded" })
    );
    let answer = rig.post("/auth", json!({ "username": "joe", "password": "wrong" })).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.message(), "unauthorized: incorrect username or password");
}

#[tokio::test]
async fn a_search_is_filtered_and_limited() {
    let rig = Rig::new().await;
    let all = rig.get("/images/search?term=box").await.json();
    assert_eq!(
        all[2],
        json!({
            "star_count": 2, "is_official": true, "name": "box2", "is_automated": false,
            "description": "an image",
        })
    );
    let filters = "%7B%22is-official%22%3A%7B%22true%22%3Atrue%7D%7D";
    let official = rig.get(&format!("/images/search?term=box&filters={filters}")).await.json();
    assert_eq!(official.as_array().unwrap().len(), 1);
    assert_eq!(rig.get("/images/search?term=box&limit=101").await.status, 400);
    assert_eq!(rig.get("/images/search?term=box&limit=x").await.status, 400);
    let unknown = "%7B%22x%22%3A%5B%22y%22%5D%7D";
    let answer = rig.get(&format!("/images/search?term=box&filters={unknown}")).await;
    assert_eq!((answer.status, &*answer.message()), (400, "invalid filter 'x'"));
}

#[tokio::test]
async fn what_a_registry_has_is_told_with_its_platforms() {
    let rig = Rig::new().await;
    let arm = rig.remote.add("tool:arm", "arm64", &[layer()]);
    let digest = rig.remote.add_index("tool:1", &[("arm64", &arm)]);
    let found = rig.get("/distribution/tool:1/json").await.json();
    assert_eq!(found["Descriptor"]["digest"], digest.as_str());
    assert_eq!(found["Platforms"], json!([{ "architecture": "arm64", "os": "linux" }]));
    let found = rig.get("/distribution/tool:arm/json").await.json();
    assert_eq!(found["Platforms"], json!([{ "architecture": "arm64", "os": "linux" }]));
    assert_eq!(rig.get("/distribution/tool:2/json").await.status, 404);
    assert_eq!(rig.get("/distribution/nosuch:2/json").await.status, 403);
}
