//! Images that nobody needs.

use std::collections::BTreeMap;

use super::super::*;
use crate::events::EventsRequest;
use crate::testing::{World, within};
use crate::{Kind, Result};

async fn prune(world: &World, filters: &[(&str, &str)]) -> Result<(Vec<Removed>, u64)> {
    let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in filters {
        wanted.entry((*name).to_owned()).or_default().push((*value).to_owned());
    }
    world.engine.images.prune(&wanted).await
}

/// An image of its own layer whose name went to another; its id.
async fn nameless(world: &World, name: &str, changes: &[&str]) -> String {
    let id = world.import(name, changes).await;
    world.engine.images.tag("busybox", name, "latest").await.unwrap();
    id
}

#[tokio::test]
async fn what_has_no_tag_goes_and_its_bytes_are_counted() {
    let world = World::new().await;
    let old = nameless(&world, "tool", &[]).await;
    let (removed, bytes) = prune(&world, &[]).await.unwrap();
    assert_eq!(removed[0], Removed::Deleted(old.clone()));
    assert_eq!((removed.len(), bytes), (2, 10));
    assert!(world.engine.images.inspect(&old).is_err());
    assert!(world.engine.images.inspect("tool").is_ok());
    assert_eq!(prune(&world, &[]).await.unwrap(), (Vec::new(), 0));
}

#[tokio::test]
async fn bytes_of_a_layer_that_another_image_needs_are_not_given_back() {
    let world = World::new().await;
    world.import("tool", &["USER a"]).await;
    world.import("tool", &["USER b"]).await;
    let (removed, bytes) = prune(&world, &[]).await.unwrap();
    assert_eq!((removed.len(), bytes), (1, 0));
}

#[tokio::test]
async fn all_that_no_container_uses_goes_when_that_is_asked_for() {
    let world = World::new().await;
    world.import("tool:1", &[]).await;
    world.engine.images.tag("tool:1", "other", "2").await.unwrap();
    world.create("web", &["sleep"]).await;
    let (removed, _) = prune(&world, &[("dangling", "false")]).await.unwrap();
    let untagged: Vec<_> = removed
        .iter()
        .filter_map(|step| match step {
            Removed::Untagged(name) => Some(name.as_str()),
            Removed::Deleted(_) => None,
        })
        .collect();
    assert_eq!(untagged, ["other:2", "tool:1"]);
    assert!(world.engine.images.inspect("busybox").is_ok());
    world.engine.containers.remove("web", false, false).await.unwrap();
    assert_eq!(prune(&world, &[("dangling", "0")]).await.unwrap().0.len(), 3);
    assert_eq!(world.engine.images.list(&ListImages::default()).unwrap().len(), 0);
}

#[tokio::test]
async fn labels_and_age_choose() {
    let world = World::new().await;
    let plain = nameless(&world, "plain", &[]).await;
    let kept = nameless(&world, "kept", &["LABEL keep=yes"]).await;
    assert!(prune(&world, &[("until", "1h")]).await.unwrap().0.is_empty());
    assert!(prune(&world, &[("label", "other")]).await.unwrap().0.is_empty());
    let (removed, _) = prune(&world, &[("label!", "keep"), ("until", "0s")]).await.unwrap();
    assert_eq!(removed[0], Removed::Deleted(plain));
    let (removed, _) = prune(&world, &[("label", "keep=yes")]).await.unwrap();
    assert_eq!(removed[0], Removed::Deleted(kept));
    for (name, value) in [("odd", "1"), ("dangling", "odd"), ("until", "soon")] {
        let refused = prune(&world, &[(name, value)]).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::InvalidArgument, "{name}={value}");
    }
}

#[tokio::test]
async fn what_a_container_that_does_not_run_needs_stays() {
    let world = World::new().await;
    let id = world.import("tool", &[]).await;
    let with_tool = |request: &mut crate::containers::CreateContainer| {
        request.config.image = "tool".to_owned();
    };
    world.create_with("web", &["sleep"], with_tool).await.unwrap();
    world.engine.images.tag("busybox", "tool", "latest").await.unwrap();
    assert!(prune(&world, &[("dangling", "false")]).await.is_ok());
    assert!(world.engine.images.inspect(&id).is_ok());
    world.start("web").await;
}

#[tokio::test]
async fn removals_are_told_without_labels_and_a_prune_with_its_bytes() {
    let world = World::new().await;
    let id = nameless(&world, "tool", &["LABEL a=b"]).await;
    prune(&world, &[]).await.unwrap();
    let until = crate::time::Clock::now(&crate::time::SystemClock);
    let request = EventsRequest { since: Some(0), until: Some(until), ..Default::default() };
    let events = world.engine.events.subscribe(request);
    let events: Vec<_> = within(futures::StreamExt::collect(events)).await;
    let last = &events[events.len() - 2..];
    assert_eq!((&*last[0].action, &*last[0].actor), ("delete", &*id));
    assert_eq!(last[0].attributes, [("name".to_owned(), id)].into());
    assert_eq!((&*last[1].action, &*last[1].actor), ("prune", ""));
    assert_eq!(last[1].attributes, [("reclaimed".to_owned(), "10".to_owned())].into());
}
