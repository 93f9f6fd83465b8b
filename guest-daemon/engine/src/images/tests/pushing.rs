//! Images on their way out.

use futures::StreamExt;

use super::super::*;
use crate::images::{PullImage, PushImage};
use crate::testing::{World, layer, within};

async fn push(world: &World, name: &str, tag: &str) -> Vec<Progress> {
    let request = PushImage { name: name.to_owned(), tag: tag.to_owned(), ..PushImage::default() };
    let stream = world.engine.images.push(request).await.unwrap();
    within(stream.collect()).await
}

async fn pull(world: &World, name: &str, tag: &str) {
    let request = PullImage { name: name.to_owned(), tag: tag.to_owned(), ..PullImage::default() };
    within(world.engine.images.pull(request).await.unwrap().collect::<Vec<_>>()).await;
}

fn texts(lines: &[Progress]) -> Vec<String> {
    let text = |line: &Progress| match line {
        Progress::Message { text, .. } => Some(text.clone()),
        Progress::Status { status, .. } if status != "Pushing" => Some(status.clone()),
        Progress::Error(text) => Some(text.clone()),
        _ => None,
    };
    lines.iter().filter_map(text).collect()
}

#[tokio::test]
async fn a_push_sends_layers_configuration_and_manifest() {
    let world = World::new().await;
    world.import("reg.lan/tool:1", &[]).await;
    let lines = push(&world, "reg.lan/tool", "1").await;
    let Some(Progress::Pushed { tag, digest, .. }) = lines.last() else { panic!("{lines:?}") };
    assert_eq!(tag, "1");
    assert_eq!(
        texts(&lines),
        [
            "The push refers to repository [reg.lan/tool]",
            "Preparing",
            "Pushed",
            &format!("1: digest: {digest} size: 7"),
        ]
    );
    let image = world.engine.images.inspect("reg.lan/tool:1").unwrap();
    assert_eq!(image.repo_digests, [format!("reg.lan/tool@{digest}")]);
    assert!(world.events().await.contains(&"image push".to_owned()));
}

#[tokio::test]
async fn what_was_pushed_is_not_sent_again_and_can_be_pulled() {
    let world = World::new().await;
    world.import("reg.lan/tool:1", &["CMD [\"tool\"]"]).await;
    push(&world, "reg.lan/tool", "1").await;
    world.remote.asked();
    let lines = push(&world, "reg.lan/tool", "1").await;
    assert!(texts(&lines).contains(&"Layer already exists".to_owned()), "{lines:?}");
    assert!(world.remote.asked().iter().all(|asked| !asked.starts_with("upload")));
    let id = world.engine.images.inspect("reg.lan/tool:1").unwrap().id;
    world.engine.images.remove(&id, true, true).await.unwrap();
    pull(&world, "reg.lan/tool", "1").await;
    assert_eq!(world.engine.images.inspect("reg.lan/tool:1").unwrap().id, id);
}

#[tokio::test]
async fn a_layer_is_taken_over_from_where_the_registry_has_it() {
    let world = World::new().await;
    world.import("reg.lan/tool:1", &[]).await;
    push(&world, "reg.lan/tool", "1").await;
    world.engine.images.tag("reg.lan/tool:1", "reg.lan/copy", "1").await.unwrap();
    let lines = push(&world, "reg.lan/copy", "1").await;
    assert!(texts(&lines).contains(&"Mounted from tool".to_owned()), "{lines:?}");
}

/// A world that has but pulled what it pushed before.
async fn pulled() -> World {
    pulled_by("sha256").await
}

async fn pulled_by(algorithm: &str) -> World {
    let world = World::new().await;
    world.import("reg.lan/tool:1", &[]).await;
    push(&world, "reg.lan/tool", "1").await;
    world.remote.rename_layers("reg.lan/tool:1", algorithm);
    let id = world.engine.images.inspect("reg.lan/tool:1").unwrap().id;
    world.engine.images.remove(&id, true, true).await.unwrap();
    pull(&world, "reg.lan/tool", "1").await;
    world.remote.asked();
    world
}

#[tokio::test]
async fn a_layer_that_was_pulled_is_taken_over_from_where_it_came() {
    let world = pulled().await;
    world.engine.images.tag("reg.lan/tool:1", "reg.lan/copy", "1").await.unwrap();
    let lines = push(&world, "reg.lan/copy", "1").await;
    assert!(texts(&lines).contains(&"Mounted from tool".to_owned()), "{lines:?}");
    let lines = push(&world, "reg.lan/tool", "1").await;
    assert!(texts(&lines).contains(&"Layer already exists".to_owned()), "{lines:?}");
}

#[tokio::test]
async fn a_layer_that_came_by_a_digest_of_another_algorithm_is_taken_over_by_that() {
    let world = pulled_by("sha512").await;
    world.engine.images.tag("reg.lan/tool:1", "reg.lan/copy", "1").await.unwrap();
    let lines = push(&world, "reg.lan/copy", "1").await;
    assert!(texts(&lines).contains(&"Mounted from tool".to_owned()), "{lines:?}");
    let asked = world.remote.asked();
    assert!(asked.iter().any(|asked| asked.starts_with("mount sha512:")), "{asked:?}");
    world.engine.images.tag("reg.lan/tool:1", "other.lan/tool", "1").await.unwrap();
    let lines = push(&world, "other.lan/tool", "1").await;
    assert!(texts(&lines).contains(&"Pushed".to_owned()), "{lines:?}");
    let asked = world.remote.asked();
    assert!(asked.iter().all(|asked| !asked.contains("sha512:")), "{asked:?}");
}

#[tokio::test]
async fn a_layer_that_a_registry_did_not_take_over_after_all_is_sent() {
    let world = pulled_by("sha512").await;
    world.remote.lose_mounts();
    world.engine.images.tag("reg.lan/tool:1", "reg.lan/copy", "1").await.unwrap();
    let lines = push(&world, "reg.lan/copy", "1").await;
    assert!(texts(&lines).contains(&"Pushed".to_owned()), "{lines:?}");
    assert!(matches!(lines.last(), Some(Progress::Pushed { .. })), "{lines:?}");
}

#[tokio::test]
async fn a_layer_that_was_pulled_is_put_together_again_for_another_registry() {
    let world = pulled().await;
    let id = world.engine.images.inspect("reg.lan/tool:1").unwrap().id;
    world.engine.images.tag("reg.lan/tool:1", "other.lan/tool", "1").await.unwrap();
    let lines = push(&world, "other.lan/tool", "1").await;
    assert!(texts(&lines).contains(&"Pushed".to_owned()), "{lines:?}");
    let lines = push(&world, "other.lan/tool", "1").await;
    assert!(texts(&lines).contains(&"Layer already exists".to_owned()), "{lines:?}");
    world.engine.images.remove(&id, true, true).await.unwrap();
    pull(&world, "other.lan/tool", "1").await;
    assert_eq!(world.engine.images.inspect("other.lan/tool:1").unwrap().id, id);
}

#[tokio::test]
async fn a_layer_whose_files_have_changed_is_not_pushed() {
    let world = World::new().await;
    world.import("reg.lan/tool:1", &[]).await;
    let layer = world.engine.images.find("reg.lan/tool:1").unwrap().layers[0].clone();
    let diff = world.engine.images.layer_paths(&[layer])[0].clone();
    std::fs::write(diff.join("data/file"), b"other size").unwrap();
    let lines = push(&world, "reg.lan/tool", "1").await;
    let Some(Progress::Error(text)) = lines.last() else { panic!("{lines:?}") };
    assert!(text.contains("data/file has changed since it was unpacked"), "{text}");
    assert!(world.remote.asked().iter().all(|asked| !asked.starts_with("upload")));
}

#[tokio::test]
async fn a_layer_without_compression_is_compressed_on_its_way() {
    let world = World::new().await;
    world.remote.add("tool:1", "amd64", &[layer("a")]);
    pull(&world, "tool", "1").await;
    world.engine.images.tag("tool:1", "reg.lan/tool", "1").await.unwrap();
    world.remote.asked();
    push(&world, "reg.lan/tool", "1").await;
    let plain = format!("upload {}", engine_store::digest_of(&layer("a")));
    let asked = world.remote.asked();
    assert_eq!(asked.iter().filter(|asked| asked.starts_with("upload")).count(), 2);
    assert!(!asked.contains(&plain), "{asked:?}");
}

#[tokio::test]
async fn every_tag_of_a_repository_is_pushed_when_none_is_named() {
    let world = World::new().await;
    world.import("reg.lan/tool:1", &["USER a"]).await;
    world.import("reg.lan/tool:2", &["USER b"]).await;
    let lines = push(&world, "reg.lan/tool", "").await;
    let pushed = lines.iter().filter(|line| matches!(line, Progress::Pushed { .. })).count();
    assert_eq!(pushed, 2);
}

#[tokio::test]
async fn what_is_not_here_is_told_in_dockers_words() {
    let world = World::new().await;
    let last = |lines: Vec<Progress>| texts(&lines).pop().unwrap();
    assert_eq!(
        last(push(&world, "nosuch", "1").await),
        "An image does not exist locally with the tag: nosuch"
    );
    assert_eq!(last(push(&world, "busybox", "2").await), "tag does not exist: busybox:2");
}
