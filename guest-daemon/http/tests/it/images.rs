//! Images in and out.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test]
async fn an_imported_image_is_listed_tagged_and_removed() {
    let rig = Rig::with_busybox().await;
    let list = rig.get("/images/json").await.json();
    assert_eq!(list[0]["RepoTags"], json!(["busybox:latest"]));
    assert_eq!(list[0]["Containers"], 0);
    assert_eq!(rig.get("/v1.50/images/json").await.json()[0]["Containers"], -1);
    assert_eq!(list[0].get("VirtualSize"), None);
    assert!(rig.get("/v1.41/images/json").await.json()[0]["VirtualSize"].is_number());

    let path = "/images/busybox/tag?repo=docker.io%2Flibrary%2Ffoo&tag=1";
    assert_eq!(rig.post(path, Value::Null).await.status, 201);
    let image = rig.get("/images/foo:1/json").await.json();
    assert_eq!(image["Id"], list[0]["Id"]);
    assert_eq!(image["Os"], "linux");
    assert_eq!(image["RootFS"]["Type"], "layers");
    assert_eq!(image["Config"]["WorkingDir"], "");
    let history = rig.get("/images/foo:1/history").await.json();
    assert_eq!(history[0]["Id"], list[0]["Id"]);

    let removed = rig.send("DELETE", "/images/foo:1", Bytes::new()).await;
    assert_eq!(removed.json(), json!([{ "Untagged": "foo:1" }]));
    let missing = rig.get("/images/foo:1/json").await;
    assert_eq!((missing.status, &*missing.message()), (404, "No such image: foo:1"));
}

#[tokio::test]
async fn what_was_saved_can_be_loaded() {
    let rig = Rig::with_busybox().await;
    let archive = rig.get("/images/get?names=busybox%3Alatest").await;
    assert_eq!(archive.status, 200);
    assert_eq!(archive.header("content-type"), "application/x-tar");
    let other = Rig::new().await;
    let loaded = other.send("POST", "/images/load?quiet=1", archive.body).await;
    assert_eq!(loaded.status, 200);
    assert_eq!(loaded.header("content-type"), "application/json");
    let text = String::from_utf8_lossy(&loaded.body).into_owned();
    assert!(text.contains("Loaded image: busybox:latest\\n"), "{text}");
    assert!(text.ends_with("\r\n"), "{text}");
    let (before, after) =
        (rig.get("/images/busybox/json").await, other.get("/images/busybox/json").await);
    assert_eq!(before.json()["Id"], after.json()["Id"]);
}

#[tokio::test]
async fn a_body_that_is_no_archive_leaves_nothing() {
    let rig = Rig::new().await;
    let answer = rig.send("POST", "/images/load", Bytes::from_static(b"not a tar archive")).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    // docker-py and others look for the error in the stream only.
    assert!(answer.status == 200 && text.contains("errorDetail"), "{} {text}", answer.status);
    assert_eq!(rig.get("/images/json").await.json(), json!([]));
}
