//! Names, loading, saving, removing.

mod pulling;
mod pushing;

use futures::StreamExt;

use super::*;
use crate::Kind;
use crate::testing::{World, byte_stream, within};

async fn save(world: &World, name: &str) -> Vec<u8> {
    let mut stream = world.engine.images.save(&[name.to_owned()]).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(part) = within(stream.next()).await {
        bytes.extend_from_slice(&part.unwrap());
    }
    bytes
}

async fn load(world: &World, archive: Vec<u8>) -> Vec<Progress> {
    let stream = world.engine.images.load(byte_stream(archive), false).await.unwrap();
    within(stream.collect()).await
}

#[tokio::test]
async fn what_one_engine_saves_another_loads_with_the_same_id() {
    let (first, second) = (World::new().await, World::new().await);
    let id = first.import("tool:1", &["CMD [\"tool\"]"]).await;
    let lines = load(&second, save(&first, "tool:1").await).await;
    assert_eq!(lines.last(), Some(&Progress::Stream("Loaded image: tool:1\n".into())));
    assert!(matches!(lines[0], Progress::Status { current: 0, .. }), "{lines:?}");
    let image = second.engine.images.inspect("tool:1").unwrap();
    assert_eq!((image.id.as_str(), image.size), (id.as_str(), 10));
    assert_eq!(image.config.cmd, Some(vec!["tool".to_owned()]));
    assert_eq!(image.repo_tags, ["tool:1"]);
}

#[tokio::test]
async fn an_image_without_a_name_is_loaded_by_its_id() {
    let (first, second) = (World::new().await, World::new().await);
    let id = first.import("tool:1", &[]).await;
    let lines = load(&second, save(&first, &id).await).await;
    assert_eq!(lines.last(), Some(&Progress::Stream(format!("Loaded image ID: {id}\n"))));
}

#[tokio::test]
async fn images_are_found_by_every_form_of_name_and_id() {
    let world = World::new().await;
    let id = world.import("tool:1", &[]).await;
    let hex = id.strip_prefix("sha256:").unwrap();
    for reference in [
        id.as_str(),
        hex,
        &hex[..12],
        &id[..20],
        "tool:1",
        "docker.io/library/tool:1",
        "library/tool:1",
    ] {
        assert_eq!(world.engine.images.inspect(reference).unwrap().id, id, "{reference}");
    }
    let missing = world.engine.images.inspect("tool").unwrap_err();
    assert_eq!(missing.to_string(), "No such image: tool:latest");
    assert_eq!(world.engine.images.inspect("Bad").unwrap_err().kind(), Kind::InvalidArgument);
}

#[tokio::test]
async fn removing_takes_the_name_first_and_the_image_with_the_last_one() {
    let world = World::new().await;
    let id = world.import("tool:1", &[]).await;
    world.engine.images.tag("tool:1", "other", "2").await.unwrap();
    let removed = world.engine.images.remove("tool:1", false, true).await.unwrap();
    assert_eq!(removed, [Removed::Untagged("tool:1".into())]);
    let removed = world.engine.images.remove("other:2", false, true).await.unwrap();
    assert_eq!(removed[0], Removed::Untagged("other:2".into()));
    assert_eq!(removed[1], Removed::Deleted(id.clone()));
    assert_eq!(removed.len(), 3);
    assert!(world.engine.images.inspect(&id).is_err());
    let layers = std::fs::read_dir(world.root().join("layers")).unwrap().count();
    assert_eq!(layers, 1);
}

#[tokio::test]
async fn an_image_in_several_repositories_is_not_removed_by_id_unless_forced() {
    let world = World::new().await;
    let id = world.import("tool:1", &[]).await;
    world.engine.images.tag("tool:1", "other", "2").await.unwrap();
    let error = world.engine.images.remove(&id, false, true).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().ends_with("image is referenced in multiple repositories"), "{error}");
    assert_eq!(world.engine.images.remove(&id, true, true).await.unwrap().len(), 4);
}

#[tokio::test]
async fn an_image_in_use_is_kept_in_dockers_words() {
    let world = World::new().await;
    let container = world.create("web", &["sleep"]).await;
    let by_name = world.engine.images.remove("busybox", false, true).await.unwrap_err();
    assert!(by_name.to_string().starts_with(
        "conflict: unable to remove repository reference \"busybox:latest\" (must force) - container"
    ));
    world.start("web").await;
    let id = world.engine.images.inspect("busybox").unwrap().id;
    let by_id = world.engine.images.remove(&id, true, true).await.unwrap_err();
    assert_eq!(
        by_id.to_string(),
        format!(
            "conflict: unable to delete {} (cannot be forced) - image is being used by running \
             container {}",
            &id[7..19],
            &container[..12]
        )
    );
    // A stopped container keeps its layers even when its image is forced away.
    world.engine.containers.stop("web", None, None).await.unwrap();
    world.engine.images.remove("busybox", true, true).await.unwrap();
    world.start("web").await;
}

#[tokio::test]
async fn tagging_moves_a_name_and_the_old_image_stays_without_it() {
    let world = World::new().await;
    let old = world.import("tool", &["USER a"]).await;
    let new = world.import("tool", &["USER b"]).await;
    assert_eq!(world.engine.images.inspect("tool").unwrap().id, new);
    assert!(world.engine.images.inspect(&old).unwrap().repo_tags.is_empty());
    let filter = |value: &str| ListImages {
        filters: [("dangling".to_owned(), vec![value.to_owned()])].into(),
        all: false,
    };
    let dangling = world.engine.images.list(&filter("true")).unwrap();
    assert_eq!(dangling.iter().map(|image| &image.id).collect::<Vec<_>>(), [&old]);
}

#[tokio::test]
async fn images_outlive_the_daemon() {
    let mut world = World::new().await;
    let id = world.import("tool:1", &[]).await;
    world.restart_daemon().await;
    assert_eq!(world.engine.images.inspect("tool:1").unwrap().id, id);
    assert_eq!(world.engine.images.list(&ListImages::default()).unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_no_archive_is_refused_with_nothing_left() {
    let world = World::new().await;
    let garbage = world.engine.images.load(byte_stream(vec![7; 5000]), true).await;
    assert_eq!(garbage.err().unwrap().kind(), Kind::InvalidArgument);
    assert_eq!(std::fs::read_dir(world.root().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn saving_a_repository_saves_all_its_tags() {
    let (first, second) = (World::new().await, World::new().await);
    first.import("tool:1", &["USER a"]).await;
    first.import("tool:2", &["USER b"]).await;
    load(&second, save(&first, "tool").await).await;
    assert!(second.engine.images.inspect("tool:1").is_ok());
    assert!(second.engine.images.inspect("tool:2").is_ok());
}

#[tokio::test]
async fn layers_of_a_container_being_made_are_not_removed() {
    let world = World::new().await;
    let id = world.import("tool:1", &[]).await;
    let (image, pin) = world.engine.images.hold("tool:1").unwrap();
    world.engine.images.remove(&id, true, true).await.unwrap();
    let path = &world.engine.images.layer_paths(&image.layers)[0];
    assert!(path.join("data/file").exists());
    drop(pin);
}
