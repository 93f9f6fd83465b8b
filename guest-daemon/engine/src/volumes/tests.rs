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

/// `data` is a tmpfs, and so many containers use it.
async fn with_tmpfs(world: &World, users: &[&str]) {
    let options = [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let request = CreateVolume { name: "data".into(), options, ..CreateVolume::default() };
    let volume = world.engine.volumes.create(request).await.unwrap();
    assert_eq!(volume.options["o"], "size=1m");
    for name in users {
        let create = world.create_with(name, &["sleep"], |request| {
            request.host.binds = Some(vec!["data:/data".into()]);
        });
        create.await.unwrap();
    }
}

#[tokio::test]
async fn a_volume_is_mounted_for_its_first_user_and_unmounted_after_its_last() {
    let world = World::new().await;
    with_tmpfs(&world, &["one", "two"]).await;
    let mounted = || world.runtime.mounted_volumes();
    assert_eq!(mounted(), [], "making a container leaves nothing mounted");
    world.start("one").await;
    world.start("two").await;
    assert_eq!(mounted().len(), 1);
    assert_eq!((&*mounted()[0].kind, &*mounted()[0].options), ("tmpfs", "size=1m"));
    world.engine.containers.kill("one", "KILL").await.unwrap();
    assert_eq!(mounted().len(), 1, "the other still uses it");
    world.engine.containers.kill("two", "KILL").await.unwrap();
    assert_eq!(mounted(), []);
    world.engine.containers.stat_path("one", "/").await.unwrap();
    assert_eq!(mounted(), [], "looking at files leaves nothing mounted either");
}

#[tokio::test]
async fn a_new_daemon_knows_whose_volumes_are_mounted() {
    let mut world = World::new().await;
    with_tmpfs(&world, &["web"]).await;
    world.start("web").await;
    world.restart_daemon().await;
    assert_eq!(world.runtime.mounted_volumes().len(), 1);
    world.engine.containers.kill("web", "KILL").await.unwrap();
    assert_eq!(world.runtime.mounted_volumes(), []);
    // And what one left mounted that nobody uses is unmounted.
    world.start("web").await;
    let left = world.runtime.mounted_volumes().remove(0);
    world.engine.containers.kill("web", "KILL").await.unwrap();
    crate::ports::Runtime::mount_volume(&*world.runtime, left).await.unwrap();
    world.restart_daemon().await;
    assert_eq!(world.runtime.mounted_volumes(), []);
}

#[tokio::test]
async fn a_volume_that_cannot_be_mounted_stops_the_start() {
    let world = World::new().await;
    let create = world.create_with("web", &["sleep"], |request| {
        request.host.mounts = vec![crate::config::MountRequest {
            kind: "volume".into(),
            source: "away".into(),
            target: "/away".into(),
            volume_driver_options: [("type", "none"), ("device", "/absent"), ("o", "bind")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..Default::default()
        }];
    });
    create.await.unwrap();
    let error = world.engine.containers.start("web", "").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    let text = error.to_string();
    assert!(text.starts_with("error while mounting volume '") && text.ends_with("directory"));
    assert_eq!(world.engine.containers.inspect("web").unwrap().state.exit_code, 128);
    let bad = CreateVolume {
        name: "other".into(),
        options: [("foo".to_owned(), "bar".to_owned())].into(),
        ..CreateVolume::default()
    };
    let error = world.engine.volumes.create(bad).await.unwrap_err();
    assert_eq!(error.to_string(), "create other: invalid option: \"foo\"");
}
