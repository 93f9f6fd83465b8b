//! Names, loading, saving, removing.

mod collecting;
mod pruning;
mod pulling;
mod pushing;

use futures::StreamExt;

use super::*;
use crate::Kind;
use crate::testing::{World, byte_stream, within};

async fn save(world: &World, name: &str) -> Vec<u8> {
    let mut stream = world.engine.images.save(&[name.to_owned()], "").await.unwrap();
    let mut bytes = Vec::new();
    while let Some(part) = within(stream.next()).await {
        bytes.extend_from_slice(&part.unwrap());
    }
    bytes
}

async fn load(world: &World, archive: Vec<u8>) -> Vec<Progress> {
    let stream =
        world.engine.images.load(byte_stream(archive), LoadImages::default()).await.unwrap();
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
async fn a_name_that_is_asked_for_twice_is_saved_once() {
    let world = World::new().await;
    world.import("tool:1", &[]).await;
    let asked = ["tool:1", "tool", "docker.io/library/tool:1"].map(str::to_owned);
    let mut stream = world.engine.images.save(&asked, "").await.unwrap();
    let mut bytes = Vec::new();
    while let Some(part) = within(stream.next()).await {
        bytes.extend_from_slice(&part.unwrap());
    }
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut entries = archive.entries().unwrap().map(|entry| entry.unwrap());
    let manifest = entries.find(|entry| &*entry.path_bytes() == b"manifest.json");
    let manifest = std::io::read_to_string(manifest.unwrap()).unwrap();
    assert_eq!(manifest.matches("\"tool:1\"").count(), 1, "{manifest}");
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
        "conflict: unable to remove repository reference \"busybox\" (must force) - container"
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
        ..ListImages::default()
    };
    let dangling = world.engine.images.list(&filter("true")).unwrap();
    assert_eq!(dangling.iter().map(|image| &image.id).collect::<Vec<_>>(), [&old]);
    let named = world.engine.images.list(&filter("false")).unwrap();
    assert!(named.iter().all(|image| image.id != old));
}

#[tokio::test]
async fn lists_are_bounded_by_images_and_moments() {
    let world = World::new().await;
    world.import("second", &[]).await;
    world.import("third", &[]).await;
    let names = |filters: &[(&str, &str)]| {
        let mut request = ListImages::default();
        for (name, value) in filters {
            request.filters.entry((*name).to_owned()).or_default().push((*value).to_owned());
        }
        let listed = world.engine.images.list(&request)?;
        Ok::<_, crate::Error>(listed.into_iter().flat_map(|image| image.repo_tags).collect())
    };
    let of = |filters: &[(&str, &str)]| -> Vec<String> { names(filters).unwrap() };
    assert_eq!(of(&[("before", "third")]), ["second:latest", "busybox:latest"]);
    assert_eq!(of(&[("before", "third"), ("before", "second")]), ["busybox:latest"]);
    assert_eq!(of(&[("since", "busybox"), ("before", "third")]), ["second:latest"]);
    assert_eq!(of(&[("reference", "*d")]), ["third:latest", "second:latest"]);
    assert!(of(&[("until", "1h")]).is_empty());
    assert_eq!(of(&[("until", "0s")]).len(), 3);
    for (filter, value, message) in [
        ("before", "nosuch", "No such image: nosuch:latest"),
        ("until", "soon", "failed to parse value as time or duration: \"soon\""),
        ("reference", "[", "syntax error in pattern"),
        ("odd", "1", "invalid filter 'odd'"),
    ] {
        assert_eq!(names(&[(filter, value)]).unwrap_err().to_string(), message);
    }
}

#[tokio::test]
async fn what_images_share_is_counted_when_asked_for() {
    let world = World::new().await;
    world.import("tool:1", &["USER a"]).await;
    let mut request = ListImages { shared_size: true, ..ListImages::default() };
    let sizes = |request: &ListImages| -> Vec<Option<u64>> {
        let listed = world.engine.images.list(request).unwrap();
        listed.iter().map(|image| image.shared_size).collect()
    };
    assert_eq!(sizes(&request), [Some(0), Some(0)]);
    world.import("tool:1", &["USER b"]).await;
    assert_eq!(sizes(&request), [Some(10), Some(10), Some(0)]);
    request.shared_size = false;
    assert_eq!(sizes(&request), [None, None, None]);
}

#[tokio::test]
async fn two_tags_of_an_image_keep_it_from_going_by_its_id() {
    let world = World::new().await;
    let id = world.import("tool:1", &[]).await;
    world.engine.images.tag("tool:1", "tool", "2").await.unwrap();
    let refused = world.engine.images.remove(&id, false, true).await.unwrap_err();
    assert!(refused.to_string().ends_with("image is referenced in multiple repositories"));
    assert_eq!(world.engine.images.remove(&id, true, true).await.unwrap().len(), 4);
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
    let garbage = world.engine.images.load(byte_stream(vec![7; 5000]), LoadImages::default()).await;
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
async fn an_archive_is_loaded_and_written_for_the_platform_that_was_asked_for() {
    let (first, second) = (World::new().await, World::new().await);
    first.import("tool:1", &[]).await;
    let refused = first.engine.images.save(&["tool:1".to_owned()], "linux/arm64").await;
    assert_eq!(
        refused.err().unwrap().to_string(),
        "no suitable export target found for platform linux/arm64"
    );
    assert!(first.engine.images.save(&["tool:1".to_owned()], "linux/amd64").await.is_ok());
    let archive = save(&first, "tool:1").await;
    let request = LoadImages { platform: "linux/arm64".to_owned(), ..LoadImages::default() };
    let other = second.engine.images.load(byte_stream(archive), request).await.unwrap();
    let told: Vec<_> = within(other.collect()).await;
    let text = "the archive has no image for the platform linux/arm64";
    assert_eq!(told, [Progress::Error(text.to_owned())]);
    assert!(second.engine.images.inspect("tool:1").is_err());
}

#[tokio::test]
async fn a_load_that_fails_leaves_no_layer() {
    let (first, second) = (World::new().await, World::new().await);
    first.import("tool:1", &[]).await;
    let mut archive = save(&first, "tool:1").await;
    let place = archive.windows(5).position(|window| window == b"hello").unwrap();
    archive[place] = b'H';
    let told = load(&second, archive).await;
    assert!(matches!(told.last(), Some(Progress::Error(_))), "{told:?}");
    within(async {
        while std::fs::read_dir(second.root().join("layers")).unwrap().count() != 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_image_is_imported_from_the_web() {
    let world = World::new().await;
    world.remote.add_file("http://a.lan/root.tar", crate::testing::layer("root"));
    let request = || ImportImage {
        reference: "fetched:1".to_owned(),
        platform: "linux/arm/v6".to_owned(),
        changes: vec!["CMD [\"root\"]".to_owned()],
        ..ImportImage::default()
    };
    let images = &world.engine.images;
    let told = images.import_from("http://a.lan/root.tar", request()).await.unwrap();
    let told: Vec<_> = within(told.collect()).await;
    let image = images.inspect("fetched:1").unwrap();
    let message = |text: &str| Progress::Message { id: String::new(), text: text.to_owned() };
    assert_eq!(told[0], message("Downloading from http://a.lan/root.tar"));
    assert!(matches!(told[1], Progress::Status { current, total, .. } if current == total));
    assert_eq!(told[2], message(&image.id));
    assert_eq!((&*image.architecture, &*image.variant), ("arm", "v6"));
    let refused = images.import_from("http://a.lan/nosuch.tar", request()).await.err().unwrap();
    assert_eq!(refused.kind(), Kind::NotFound);
    let wrong = ImportImage { platform: "windows".to_owned(), ..request() };
    let refused = images.import_from("http://a.lan/root.tar", wrong).await.err().unwrap();
    assert_eq!(refused.to_string(), "operating system is not supported");
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
