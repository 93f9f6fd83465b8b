//! Volumes by name and without.

use std::collections::BTreeMap;

use super::*;
use crate::Kind;
use crate::testing::World;

fn filters(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect()
}

#[tokio::test]
async fn a_volume_is_made_once_and_found_again() {
    let mut world = World::new().await;
    let request = CreateVolume { name: "data".into(), ..CreateVolume::default() };
    let volume = world.engine.volumes.create(request.clone()).await.unwrap();
    assert_eq!(world.engine.volumes.create(request).await.unwrap(), volume);
    world.restart_daemon().await;
    assert_eq!(world.engine.volumes.inspect("data").unwrap(), volume);
    world.engine.volumes.remove("data", false).await.unwrap();
    let missing = world.engine.volumes.remove("data", false).await.unwrap_err();
    assert_eq!(missing.to_string(), "get data: no such volume");
    world.engine.volumes.remove("data", true).await.unwrap();
}

#[tokio::test]
async fn prune_takes_only_unused_anonymous_volumes_unless_asked() {
    let world = World::new().await;
    for name in ["", "named"] {
        let request = CreateVolume { name: name.into(), ..CreateVolume::default() };
        world.engine.volumes.create(request).await.unwrap();
    }
    world
        .create_with("web", &[], |request| {
            request.host.binds = Some(vec!["used:/data".into()]);
        })
        .await
        .unwrap();
    let (removed, _) = world.engine.volumes.prune(&filters(&[])).await.unwrap();
    assert_eq!(removed.len(), 1);
    let (removed, _) = world.engine.volumes.prune(&filters(&[("all", "1")])).await.unwrap();
    assert_eq!(removed, ["named"]);
    let dangling = world.engine.volumes.list(&filters(&[("dangling", "false")])).unwrap();
    assert_eq!(dangling[0].name, "used");
}

#[tokio::test]
async fn names_and_drivers_are_checked() {
    let world = World::new().await;
    let bad = CreateVolume { name: "../x".into(), ..CreateVolume::default() };
    assert_eq!(world.engine.volumes.create(bad).await.unwrap_err().kind(), Kind::InvalidArgument);
    let other = CreateVolume { driver: "nfs".into(), ..CreateVolume::default() };
    assert_eq!(world.engine.volumes.create(other).await.unwrap_err().kind(), Kind::NotFound);
}
