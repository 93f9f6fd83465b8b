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
async fn a_prune_says_what_went_and_null_when_nothing_did() {
    let rig = Rig::with_busybox().await;
    let nothing = rig.post("/images/prune", Value::Null).await;
    assert_eq!(nothing.json(), json!({ "ImagesDeleted": null, "SpaceReclaimed": 0 }));
    let all = "/images/prune?filters=%7B%22dangling%22%3A%7B%22false%22%3Atrue%7D%7D";
    let pruned = rig.post(all, Value::Null).await.json();
    assert_eq!(pruned["ImagesDeleted"][0], json!({ "Untagged": "busybox:latest" }));
    assert!(pruned["ImagesDeleted"][1]["Deleted"].is_string());
    assert!(pruned["SpaceReclaimed"].as_u64().is_some_and(|bytes| bytes > 0), "{pruned}");
    let odd = rig.post("/images/prune?filters=%7B%22odd%22%3A%5B%22a%22%5D%7D", Value::Null).await;
    assert_eq!((odd.status, &*odd.message()), (400, "invalid filter 'odd'"));
    let cache = rig.post("/build/prune?all=1", Value::Null).await;
    assert_eq!(cache.json(), json!({ "CachesDeleted": null, "SpaceReclaimed": 0 }));
}

#[tokio::test]
async fn lists_have_the_shape_of_their_version() {
    let rig = Rig::with_busybox().await;
    let first = async |path: &str| rig.get(path).await.json()[0].clone();
    assert_eq!(first("/images/json").await["SharedSize"], -1);
    assert_eq!(first("/images/json?shared-size=1").await["SharedSize"], 0);
    assert_eq!(first("/v1.41/images/json?shared-size=1").await["SharedSize"], -1);
    assert_eq!(first("/v1.40/images/json?filter=nosuch").await, Value::Null);
    assert!(first("/v1.41/images/json?filter=nosuch").await.is_object());
    assert_eq!(first("/images/json?manifests=1").await.get("Manifests"), None);
    rig.post("/images/create?fromSrc=-&repo=busybox", Value::Null).await;
    let dangling = "filters=%7B%22dangling%22%3A%5B%22true%22%5D%7D";
    let nameless = first(&format!("/v1.42/images/json?{dangling}")).await;
    assert_eq!(nameless["RepoTags"], json!(["<none>:<none>"]));
    assert_eq!(first("/v1.42/images/json").await["RepoDigests"], Value::Null);
    let usage = rig.get("/system/df").await.json();
    assert_eq!(usage["Images"][0]["RepoDigests"], Value::Null);
    assert!(usage["Images"][0]["SharedSize"].is_u64() && usage["Images"][0]["Containers"] == 0);
    assert_eq!(nameless["RepoDigests"], json!(["<none>@<none>"]));
    assert_eq!(first(&format!("/images/json?{dangling}")).await["RepoTags"], json!([]));
    let old = rig.get("/v1.43/images/busybox/json").await.json();
    assert_eq!(old["VirtualSize"], old["Size"]);
    assert_eq!(old["ContainerConfig"]["Cmd"], Value::Null);
    assert_eq!(rig.get("/images/busybox/json").await.json().get("ContainerConfig"), None);
}

#[tokio::test]
async fn an_image_of_another_platform_is_not_what_was_asked_for() {
    let rig = Rig::with_busybox().await;
    let arm = "%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22arm64%22%7D";
    let text = "image with reference busybox was found but its platform (linux/amd64) does not \
                match the specified platform (linux/arm64)";
    for path in ["/images/busybox/json?platform=", "/images/busybox/history?platform="] {
        let refused = rig.get(&format!("{path}{arm}")).await;
        assert_eq!((refused.status, &*refused.message()), (404, text));
        let own = arm.replace("arm64", "amd64");
        assert_eq!(rig.get(&format!("{path}{own}")).await.status, 200);
    }
    let old = rig.get(&format!("/v1.48/images/busybox/json?platform={arm}")).await;
    assert_eq!(old.status, 200, "that version does not know the parameter");
    let both = rig.get(&format!("/images/busybox/json?manifests=1&platform={arm}")).await;
    assert_eq!(
        (both.status, &*both.message()),
        (400, "conflicting options: manifests and platform options cannot both be set")
    );
    let path = format!("/images/busybox?platforms={arm}");
    let refused = rig.send("DELETE", &path, Bytes::new()).await;
    assert_eq!((refused.status, &*refused.message()), (404, text));
    let two = rig.send("DELETE", &format!("{path}&platforms={arm}"), Bytes::new()).await;
    assert_eq!((two.status, &*two.message()), (400, "multiple platforms are not supported"));
    let saved = rig.get(&format!("/images/busybox/get?platform={arm}")).await;
    assert_eq!(
        (saved.status, &*saved.message()),
        (404, "no suitable export target found for platform linux/arm64")
    );
    let wrong = rig.get("/images/busybox/json?platform=linux").await;
    assert_eq!(wrong.status, 400);
}

#[tokio::test]
async fn a_root_is_imported_from_the_web_with_progress() {
    let rig = Rig::new().await;
    rig.remote.add_file("http://a.lan/root.tar", vec![0; 1024]);
    let path = "/images/create?fromSrc=http%3A%2F%2Fa.lan%2F";
    let answer = rig.post(&format!("{path}root.tar&repo=web&tag=1"), Value::Null).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(
        text.starts_with("{\"status\":\"Downloading from http://a.lan/root.tar\"}\r\n"),
        "{text}"
    );
    let image = rig.get("/images/web:1/json").await.json();
    assert!(text.ends_with(&format!("{{\"status\":{}}}\r\n", image["Id"])), "{text}");
    assert_eq!(image["Comment"], "Imported from http://a.lan/root.tar");
    assert_eq!(rig.post(&format!("{path}nosuch"), Value::Null).await.status, 404);
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
