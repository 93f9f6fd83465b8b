//! Layers stay as long as somebody needs them, and no longer, whatever happens at the same time.

use std::collections::BTreeSet;

use futures::StreamExt;

use super::super::*;
use super::{load, save};
use crate::images::PullImage;
use crate::testing::{World, byte_stream, layer, within};

fn on_disk(world: &World) -> BTreeSet<String> {
    std::fs::read_dir(world.root().join("layers"))
        .unwrap()
        .map(|entry| format!("sha256:{}", entry.unwrap().file_name().to_str().unwrap()))
        .collect()
}

fn of_images(world: &World) -> BTreeSet<String> {
    let state = world.engine.images.state();
    state.images.values().flat_map(|image| image.layers.clone()).collect()
}

fn blobs(world: &World) -> usize {
    std::fs::read_dir(world.root().join("blobs/sha256")).unwrap().count()
}

/// What is removed in the background is gone, and nothing else is.
async fn until_only_needed(world: &World) {
    let temporary = || std::fs::read_dir(world.root().join("tmp")).unwrap().count();
    let images = || world.engine.images.state().images.len();
    within(async {
        while on_disk(world) != of_images(world) || temporary() != 0 || blobs(world) != images() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn pull(world: &World, name: &str) -> Vec<Progress> {
    let request = PullImage { name: name.to_owned(), tag: "1".to_owned(), ..PullImage::default() };
    match world.engine.images.pull(request).await {
        Ok(stream) => within(stream.collect()).await,
        Err(error) => vec![Progress::Error(error.to_string())],
    }
}

#[tokio::test]
async fn an_image_removed_while_it_is_saved_is_saved_whole_and_then_gone() {
    let (first, second) = (World::new().await, World::new().await);
    let id = first.import("tool:1", &[]).await;
    let mut stream = first.engine.images.save(&["tool:1".to_owned()], "").await.unwrap();
    first.engine.images.remove("tool:1", false, true).await.unwrap();
    let mut archive = Vec::new();
    while let Some(part) = within(stream.next()).await {
        archive.extend_from_slice(&part.unwrap());
    }
    load(&second, archive).await;
    assert_eq!(second.engine.images.inspect("tool:1").unwrap().id, id);
    drop(stream);
    until_only_needed(&first).await;
}

#[tokio::test]
async fn layers_of_an_image_that_was_forced_away_go_with_its_last_container() {
    let mut world = World::new().await;
    world.import("tool:1", &[]).await;
    let with_image = |request: &mut crate::containers::CreateContainer| {
        request.config.image = "tool:1".to_owned();
    };
    for name in ["one", "two"] {
        world.create_with(name, &["sleep"], with_image).await.unwrap();
    }
    let before = on_disk(&world);
    world.engine.images.remove("tool:1", true, true).await.unwrap();
    world.engine.containers.remove("one", false, false).await.unwrap();
    assert_eq!(on_disk(&world), before);
    // A daemon that comes later knows it, too.
    world.restart_daemon().await;
    assert_eq!(on_disk(&world), before);
    world.engine.containers.remove("two", false, false).await.unwrap();
    until_only_needed(&world).await;
    assert!(on_disk(&world).len() < before.len());
}

#[tokio::test]
async fn layers_pinned_when_their_image_goes_go_with_the_pin() {
    let world = World::new().await;
    let id = world.import("tool:1", &[]).await;
    let (_, first) = world.engine.images.hold("tool:1").unwrap();
    let (_, second) = world.engine.images.hold("tool:1").unwrap();
    world.engine.images.remove(&id, true, true).await.unwrap();
    drop(first);
    assert_eq!(on_disk(&world).len(), 2);
    drop(second);
    until_only_needed(&world).await;
}

#[tokio::test]
async fn a_pull_that_is_being_written_down_is_not_cut_when_its_client_goes() {
    let mut world = World::new().await;
    world.remote.add("tool:1", "amd64", &[layer("a")]);
    let (name, tag) = ("tool".to_owned(), "1".to_owned());
    let request = PullImage { name, tag, ..PullImage::default() };
    let mut stream = world.engine.images.pull(request).await.unwrap();
    loop {
        let line = within(stream.next()).await.unwrap();
        if matches!(&line, Progress::Message { text, .. } if text.starts_with("Digest: ")) {
            break;
        }
    }
    drop(stream);
    within(async {
        while world.engine.images.inspect("tool:1").is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    until_only_needed(&world).await;
    world.restart_daemon().await;
    let image = world.engine.images.find("tool:1").unwrap();
    for path in world.engine.images.layer_paths(&image.layers) {
        assert!(path.join("data/file").exists());
    }
}

#[tokio::test]
async fn an_archive_with_one_bad_image_leaves_nothing_of_the_others() {
    let (first, second) = (World::new().await, World::new().await);
    first.import("tool:1", &[]).await;
    first.import("other:1", &[]).await;
    let tool = first.engine.images.find("tool:1").unwrap().layers[0].clone();
    let other = first.engine.images.find("other:1").unwrap().layers[0].clone();
    let both = ["tool:1".to_owned(), "other:1".to_owned()];
    let mut stream = first.engine.images.save(&both, "").await.unwrap();
    let mut archive = Vec::new();
    while let Some(part) = within(stream.next()).await {
        archive.extend_from_slice(&part.unwrap());
    }
    // The archive says that the second image's layer is the first's.
    let path = |layer: &str| format!("blobs/{}", layer.replace(':', "/")).into_bytes();
    let (from, to) = (path(&other), path(&tool));
    let in_manifest = archive.windows(8).position(|window| window == b"\"Config\"").unwrap();
    let found = archive[in_manifest..].windows(from.len()).position(|window| window == from);
    let at = in_manifest + found.unwrap();
    archive[at..at + to.len()].copy_from_slice(&to);
    let told = load(&second, archive).await;
    assert!(matches!(told.last(), Some(Progress::Error(_))), "{told:?}");
    assert!(second.engine.images.inspect("tool:1").is_err());
    until_only_needed(&second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_comes_and_goes_at_once_no_layer_is_missing_or_left() {
    let world = std::sync::Arc::new(World::new().await);
    let elsewhere = World::new().await;
    for (name, layers) in [("a", ["base", "a"]), ("b", ["base", "b"]), ("c", ["a", "base"])] {
        world.remote.add(&format!("{name}:1"), "amd64", &layers.map(layer));
        elsewhere.remote.add(&format!("{name}:1"), "amd64", &layers.map(layer));
        pull(&elsewhere, name).await;
    }
    let mut archives = Vec::new();
    for name in ["a", "b", "c"] {
        archives.push((name, save(&elsewhere, &format!("{name}:1")).await));
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (name, archive) in archives {
        for by_load in [true, false] {
            let (world, archive) = (std::sync::Arc::clone(&world), archive.clone());
            tasks.spawn(async move {
                let quiet = LoadImages { quiet: true, ..LoadImages::default() };
                for round in 0..10 {
                    if by_load {
                        let stream = world
                            .engine
                            .images
                            .load(byte_stream(archive.clone()), quiet.clone())
                            .await;
                        within(stream.unwrap().collect::<Vec<_>>()).await;
                    } else {
                        pull(&world, name).await;
                    }
                    // What is found can be used: its layers are there.
                    if let Ok((image, pin)) = world.engine.images.hold(&format!("{name}:1")) {
                        for path in world.engine.images.layer_paths(&image.layers) {
                            assert!(path.join("data/file").exists(), "{name} in round {round}");
                        }
                        drop(pin);
                    }
                    drop(world.engine.images.remove(&format!("{name}:1"), true, true).await);
                }
            });
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    until_only_needed(&world).await;
    for name in ["a", "b", "c"] {
        pull(&world, name).await;
        assert!(world.engine.images.inspect(&format!("{name}:1")).is_ok(), "{name}");
    }
}
