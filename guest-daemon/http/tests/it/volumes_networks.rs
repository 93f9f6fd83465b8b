//! Volumes, and the networks that always exist.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test]
async fn a_volume_is_created_listed_and_removed() {
    let rig = Rig::new().await;
    assert_eq!(rig.get("/volumes").await.json(), json!({ "Volumes": [], "Warnings": null }));
    let created = rig.post("/volumes/create", json!({ "Name": "v1", "Driver": "local" })).await;
    assert_eq!(created.status, 201);
    let volume = rig.get("/volumes/v1").await.json();
    assert_eq!(volume["Scope"], "local");
    assert_eq!(volume["Options"], Value::Null);
    assert_eq!(rig.get("/volumes").await.json()["Volumes"][0]["Name"], "v1");
    assert_eq!(rig.send("DELETE", "/volumes/v1", Bytes::new()).await.status, 204);
    let missing = rig.get("/volumes/v1").await;
    assert_eq!((missing.status, &*missing.message()), (404, "get v1: no such volume"));
    assert_eq!(rig.send("DELETE", "/volumes/v1?force=1", Bytes::new()).await.status, 204);
}

#[tokio::test]
async fn pruning_nothing_says_so() {
    let rig = Rig::new().await;
    assert_eq!(
        rig.post("/volumes/prune", Value::Null).await.json(),
        json!({ "VolumesDeleted": null, "SpaceReclaimed": 0 })
    );
    assert_eq!(
        rig.post("/networks/prune", Value::Null).await.json(),
        json!({ "NetworksDeleted": null })
    );
}

#[tokio::test]
async fn three_networks_always_exist() {
    let rig = Rig::new().await;
    let networks = rig.get("/networks").await.json();
    let mut names: Vec<_> =
        networks.as_array().unwrap().iter().map(|network| network["Name"].clone()).collect();
    names.sort_by_key(Value::to_string);
    assert_eq!(names, ["bridge", "host", "none"]);
    let bridge = rig.get("/networks/bridge").await.json();
    assert_eq!(bridge["Driver"], "bridge");
    assert_eq!(bridge["IPAM"]["Config"][0]["Gateway"], "172.17.0.1");
    let missing = rig.get("/networks/n1").await;
    assert_eq!((missing.status, &*missing.message()), (404, "network n1 not found"));
}
