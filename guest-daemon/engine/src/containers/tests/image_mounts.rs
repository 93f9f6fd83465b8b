//! Images that are mounted into containers.

use std::collections::BTreeSet;

use crate::Kind;
use crate::config::MountRequest;
use crate::containers::{CreateContainer, WaitCondition};
use crate::images::Removed;
use crate::testing::{World, within};

fn image(source: &str, subpath: &str) -> MountRequest {
    MountRequest {
        kind: "image".into(),
        source: source.into(),
        target: "/tool/".into(),
        image_subpath: subpath.into(),
        ..MountRequest::default()
    }
}

fn with(mount: MountRequest) -> impl FnOnce(&mut CreateContainer) {
    move |request| request.host.mounts = vec![mount]
}

fn layers(world: &World) -> BTreeSet<String> {
    let entries = std::fs::read_dir(world.root().join("layers")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

async fn until_layers(world: &World, count: usize) {
    within(async {
        while layers(world).len() != count {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_image_is_mounted_read_only_from_its_layers() {
    let world = World::new().await;
    world.import("tool:1", &[]).await;
    let mut request = crate::testing::request("web", &["sleep"]);
    request.host.mounts = vec![image("tool:1", "data")];
    let created = world.engine.containers.create(request).await.unwrap();
    assert_eq!(created.warnings, ["Image mount is an experimental feature"]);
    world.start("web").await;
    let spec = world.runtime.spec(&created.id).unwrap();
    let place = world.root().join("containers").join(&created.id).join("images/0");
    assert_eq!(spec.images.len(), 1);
    assert_eq!((spec.images[0].layers.len(), &spec.images[0].place), (1, &place));
    assert!(spec.images[0].layers[0].join("tool:1").exists());
    let mount = spec.mounts.iter().find(|mount| mount.destination == "/tool").unwrap();
    assert_eq!((mount.source.as_str(), &*mount.subpath), (place.to_str().unwrap(), "data"));
    assert_eq!(mount.options, ["rbind", "rprivate", "rro"]);
    let shown = world.engine.containers.inspect("web").unwrap().mounts.remove(0);
    assert_eq!((&*shown.kind, &*shown.name, &*shown.driver), ("image", "tool:1", ""));
    assert_eq!((&*shown.source, &*shown.destination), (place.to_str().unwrap(), "/tool"));
    assert_eq!((shown.read_write, &*shown.propagation, &*shown.mode), (false, "rprivate", ""));
}

#[tokio::test]
async fn what_is_no_image_here_makes_no_container() {
    let world = World::new().await;
    let missing = world.create_with("web", &["sleep"], with(image("gone", ""))).await.unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
    assert_eq!(missing.to_string(), "No such image: gone:latest");
    let out = world.create_with("web", &["sleep"], with(image("busybox", "a/../../b"))).await;
    assert_eq!(out.unwrap_err().kind(), Kind::InvalidArgument);
    world.create("web", &["sleep"]).await;
}

#[tokio::test]
async fn a_mounted_image_keeps_its_last_name_unless_forced() {
    let world = World::new().await;
    let id = world.import("tool:1", &[]).await;
    let container = world.create_with("web", &["sleep"], with(image("tool:1", ""))).await.unwrap();
    world.start("web").await;
    let refused = world.engine.images.remove("tool:1", false, true).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "conflict: unable to remove repository reference \"tool:1\" (must force) - container \
             {} is using its referenced image {}",
            &container[..12],
            &id[7..19]
        )
    );
    let all = [("dangling".to_owned(), vec!["false".to_owned()])].into();
    let (pruned, bytes) = world.engine.images.prune(&all).await.unwrap();
    assert_eq!((pruned, bytes), (Vec::new(), 0));
    world.engine.images.tag("tool:1", "tool", "2").await.unwrap();
    let removed = world.engine.images.remove("tool:1", false, true).await.unwrap();
    assert_eq!(removed, [Removed::Untagged("tool:1".into())]);
}

#[tokio::test]
async fn layers_stay_for_starts_and_daemons_to_come_and_go_with_the_container() {
    let mut world = World::new().await;
    let id = world.import("tool:1", &[]).await;
    world.create_with("web", &["sleep"], with(image("tool:1", ""))).await.unwrap();
    world.start("web").await;
    // As with dockerd an id says that it is meant: only the layers are kept.
    let removed = world.engine.images.remove(&id, false, true).await.unwrap();
    assert_eq!(removed, [Removed::Untagged("tool:1".into()), Removed::Deleted(id)]);
    assert_eq!(layers(&world).len(), 2);
    world.restart_daemon().await;
    assert_eq!(layers(&world).len(), 2);
    world.engine.containers.kill("web", "KILL").await.unwrap();
    world.wait("web", WaitCondition::NotRunning).await;
    world.restart_daemon().await;
    world.start("web").await;
    let started = world.engine.containers.inspect("web").unwrap().id;
    assert!(world.runtime.spec(&started).unwrap().images[0].layers[0].exists());
    // Another container's mounts are taken over with their layers.
    world
        .create_with("other", &["sleep"], |request| {
            request.host.volumes_from = Some(vec!["web".into()]);
        })
        .await
        .unwrap();
    world.engine.containers.remove("web", true, false).await.unwrap();
    until_layers(&world, 2).await;
    world.engine.containers.remove("other", false, false).await.unwrap();
    until_layers(&world, 1).await;
}

#[tokio::test]
async fn a_part_that_is_not_there_is_told_as_dockerd_tells_it() {
    let world = World::new().await;
    world.create_with("web", &["sleep"], with(image("busybox", "none"))).await.unwrap();
    for (error, kind) in [
        (
            crate::Error::not_found("cannot access path /x/none: no such file or directory"),
            Kind::NotFound,
        ),
        (
            crate::Error::invalid("path concatenation escapes the base directory, base: /x"),
            Kind::InvalidArgument,
        ),
    ] {
        let text = error.to_string();
        world.runtime.refuse_next_create(error);
        let told = world.engine.containers.start("web", "").await.unwrap_err();
        assert_eq!((told.kind(), told.to_string()), (kind, text));
        assert_eq!(world.engine.containers.inspect("web").unwrap().state.exit_code, 128);
    }
}
