//! Copying, comparing, exporting and committing containers.

use std::io::Read;

use bytes::Bytes;
use futures::StreamExt;

use crate::config::ContainerConfig;
use crate::containers::{ChangeKind, Commit, ExtractArchive};
use crate::error::Kind;
use crate::events::{Event, EventsRequest};
use crate::images::ByteStream;
use crate::system::Measured;
use crate::testing::{World, byte_stream, within};
use crate::time::{Clock, SystemClock};

fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

async fn names(stream: ByteStream) -> Vec<String> {
    let chunks: Vec<_> = within(stream.collect()).await;
    let bytes: Vec<u8> =
        chunks.into_iter().flat_map(|chunk: Result<Bytes, _>| chunk.unwrap()).collect();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        entry.read_to_end(&mut Vec::new()).unwrap();
        String::from_utf8_lossy(&entry.path_bytes()).into_owned()
    });
    entries.collect()
}

async fn put(world: &World, path: &str, files: &[(&str, &str)]) -> crate::Result<()> {
    let request = ExtractArchive { path: path.to_owned(), ..ExtractArchive::default() };
    world.engine.containers.extract("web", request, byte_stream(tar_of(files))).await
}

async fn event(world: &World, action: &str) -> Event {
    let until = SystemClock.now();
    let request = EventsRequest { since: Some(0), until: Some(until), ..Default::default() };
    let events = world.engine.events.subscribe(request);
    let found = events.filter(|event| std::future::ready(event.action == action));
    within(found.collect::<Vec<_>>()).await.pop().unwrap()
}

#[tokio::test]
async fn what_was_copied_in_can_be_looked_at_and_copied_out() {
    let world = World::new().await;
    world.create("web", &["sleep", "99"]).await;
    put(&world, "/", &[("dir/file", "12345")]).await.unwrap();
    let stat = world.engine.containers.stat_path("web", "/dir/file").await.unwrap();
    assert_eq!((stat.name.as_str(), stat.size), ("file", 5));
    let (stat, stream) = world.engine.containers.archive("web", "/dir").await.unwrap();
    assert_eq!(stat.name, "dir");
    assert_eq!(names(stream).await, ["dir/", "dir/file"]);
    let changes = world.engine.containers.changes("web").await.unwrap();
    assert_eq!(changes.len(), 2);
    assert!(changes.iter().all(|change| change.kind == ChangeKind::Added));
    let events = world.events().await;
    for action in ["container extract-to-dir", "container archive-path"] {
        assert!(events.iter().any(|event| event == action), "{action}: {events:?}");
    }
    assert_eq!(event(&world, "archive-path").await.attributes["name"], "web");
}

#[tokio::test]
async fn what_is_not_there_is_named_with_the_container_as_it_was_asked_for() {
    let world = World::new().await;
    world.create("web", &["true"]).await;
    let error = world.engine.containers.stat_path("web", "/no such").await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(error.to_string(), "Could not find the file /no such in container web");
    put(&world, "/", &[("file", "")]).await.unwrap();
    let error = put(&world, "/file", &[("x", "")]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert_eq!(error.to_string(), "extraction point is not a directory");
}

#[tokio::test]
async fn what_is_read_only_is_not_written_to() {
    let world = World::new().await;
    let create = world.create_with("web", &["true"], |request| {
        request.host.readonly_rootfs = true;
        request.host.binds = Some(vec!["locked:/locked:ro".into(), "open:/open".into()]);
    });
    let id = create.await.unwrap();
    for folder in ["locked", "open/in"] {
        let upper = world.root().join("containers").join(&id).join("upper");
        std::fs::create_dir_all(upper.join(folder)).unwrap();
    }
    let error = put(&world, "/", &[("x", "")]).await.unwrap_err();
    assert_eq!(error.to_string(), "container rootfs is marked read-only");
    assert_eq!(error.kind(), Kind::InvalidArgument);
    let error = put(&world, "/locked", &[("x", "")]).await.unwrap_err();
    assert_eq!(error.to_string(), "mounted volume is marked read-only");
    put(&world, "/open/in", &[("x", "")]).await.unwrap();
}

#[tokio::test]
async fn an_export_has_the_image_and_what_was_changed() {
    let world = World::new().await;
    world.create("web", &["true"]).await;
    put(&world, "/", &[("mine", "1")]).await.unwrap();
    let all = names(world.engine.containers.export("web").unwrap()).await;
    for name in ["mine", "data/file", ".dockerenv", "etc/hosts"] {
        assert!(all.iter().any(|known| known == name), "{name}: {all:?}");
    }
    assert!(world.events().await.iter().any(|event| event == "container export"));
    let missing = world.engine.containers.export("nosuch").err().unwrap();
    assert_eq!(missing.kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_commit_is_an_image_on_top_of_the_containers() {
    let world = World::new().await;
    let base = world.engine.images.inspect("busybox").unwrap();
    world
        .create_with("web", &["sleep", "99"], |request| request.config.env = vec!["A=1".into()])
        .await
        .unwrap();
    put(&world, "/", &[("mine", "1")]).await.unwrap();
    let request = Commit {
        repository: "made".into(),
        author: "me".into(),
        comment: "why".into(),
        changes: vec!["ENV B=2".into(), "LABEL l=v".into()],
        ..Commit::default()
    };
    let id = world.engine.containers.commit("web", request).await.unwrap();
    let image = world.engine.images.inspect("made:latest").unwrap();
    assert_eq!((&image.id, &image.parent), (&id, &base.id));
    assert_eq!((image.author.as_str(), image.comment.as_str()), ("me", "why"));
    assert_eq!(image.layers.len(), base.layers.len() + 1);
    assert_eq!(image.config.env[..2], ["A=1", "B=2"]);
    assert_eq!(image.config.cmd.as_deref().unwrap(), ["sleep", "99"]);
    assert_eq!(image.config.labels["l"], "v");
    let top = image.history.last().unwrap();
    assert_eq!((top.created_by.as_str(), top.comment.as_str()), ("sleep 99", "why"));
    let told = event(&world, "commit").await.attributes;
    assert_eq!((&told["imageID"], told["imageRef"].as_str()), (&id, "made:latest"));
    assert_eq!(told["comment"], "why");
    world.create_with("again", &["true"], |r| r.config.image = "made".into()).await.unwrap();
}

#[tokio::test]
async fn a_container_without_changes_adds_no_layer() {
    let world = World::new().await;
    world.create("web", &["true"]).await;
    let id = world.engine.containers.commit("web", Commit::default()).await.unwrap();
    let image = world.engine.images.inspect(&id).unwrap();
    let base = world.engine.images.inspect("busybox").unwrap();
    assert_eq!(image.layers, base.layers);
    assert!(image.repo_tags.is_empty() && image.history.last().unwrap().empty_layer);
}

#[tokio::test]
async fn a_given_configuration_is_filled_up_from_the_containers() {
    let world = World::new().await;
    world.create("web", &["sleep", "99"]).await;
    let config = ContainerConfig { user: "7".into(), ..ContainerConfig::default() };
    let request = Commit { config: Some(config), ..Commit::default() };
    let id = world.engine.containers.commit("web", request).await.unwrap();
    let config = world.engine.images.inspect(&id).unwrap().config;
    assert_eq!((config.user.as_str(), config.cmd.unwrap().len()), ("7", 2));
}

#[tokio::test]
async fn a_commit_that_cannot_be_named_makes_nothing() {
    let world = World::new().await;
    world.create("web", &["true"]).await;
    for (repository, changes) in [("UPPER", vec![]), ("ok", vec!["RUN true".to_owned()])] {
        let request = Commit { repository: repository.into(), changes, ..Commit::default() };
        let error = world.engine.containers.commit("web", request).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument, "{error}");
    }
    let all = world.engine.images.list(&crate::images::ListImages::default()).unwrap();
    assert_eq!(all.len(), 1);
}

#[tokio::test]
async fn disk_usage_counts_what_is_shared_once() {
    let world = World::new().await;
    world
        .create_with("web", &["true"], |r| r.host.binds = Some(vec!["vol:/elsewhere".into()]))
        .await
        .unwrap();
    put(&world, "/", &[("mine", "12345")]).await.unwrap();
    let request = Commit { repository: "made".into(), ..Commit::default() };
    world.engine.containers.commit("web", request).await.unwrap();
    let all = Measured { images: true, containers: true, volumes: true };
    let usage = world.engine.system.disk_usage(all).await.unwrap();
    let base = world.engine.images.inspect("busybox").unwrap().size;
    assert_eq!(usage.layers, base + 5);
    let images = usage.images.unwrap();
    assert_eq!(images.len(), 2);
    assert!(images.iter().all(|image| image.shared_size == Some(base)));
    let containers = usage.containers.unwrap();
    assert_eq!((containers[0].written, containers[0].whole), (5, base + 5));
    let volumes = usage.volumes.unwrap();
    assert_eq!((volumes[0].size, volumes[0].users), (Some(0), 1));
    let none = Measured { images: false, containers: false, volumes: true };
    assert!(world.engine.system.disk_usage(none).await.unwrap().images.is_none());
}

#[tokio::test]
async fn an_image_made_from_another_holds_it_and_lets_it_go_with_it() {
    let world = World::new().await;
    world.create("web", &["true"]).await;
    let named = |name: &str| Commit { repository: name.into(), ..Commit::default() };
    let base = world.engine.images.inspect("busybox").unwrap().id;
    let first = world.engine.containers.commit("web", named("first")).await.unwrap();
    world.create_with("more", &["true"], |r| r.config.image = "first".into()).await.unwrap();
    let second = world.engine.containers.commit("more", named("second")).await.unwrap();
    let steps = world.engine.images.history("second").unwrap();
    let ids: Vec<&str> = steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, [&second, &first, &base]);
    for name in ["web", "more"] {
        world.engine.containers.remove(name, false, false).await.unwrap();
    }
    let error = world.engine.images.remove(&first, true, true).await.unwrap_err();
    assert!(error.to_string().ends_with("(cannot be forced) - image has dependent child images"));
    // Its name can be taken; then it is only a step on the way to the other.
    let untagged = world.engine.images.remove("first", false, true).await.unwrap();
    assert_eq!(untagged.len(), 1);
    let list = |all| crate::images::ListImages { all, ..Default::default() };
    assert_eq!(world.engine.images.list(&list(false)).unwrap().len(), 2);
    assert_eq!(world.engine.images.list(&list(true)).unwrap().len(), 3);
    world.engine.images.remove("second", false, true).await.unwrap();
    let left = world.engine.images.list(&list(true)).unwrap();
    assert_eq!(left.len(), 1, "the step went with it: {left:?}");
}

#[tokio::test]
async fn a_running_container_is_paused_while_it_is_committed_unless_it_should_not() {
    let world = World::new().await;
    world.create("web", &["sleep", "99"]).await;
    world.start("web").await;
    let told = |events: &[String]| events.iter().filter(|event| event.ends_with("pause")).count();
    let request = |pause| Commit { pause, ..Commit::default() };
    world.engine.containers.commit("web", request(false)).await.unwrap();
    assert_eq!(told(&world.events().await), 0);
    world.engine.containers.commit("web", request(true)).await.unwrap();
    assert_eq!(told(&world.events().await), 2, "paused and unpaused");
}
