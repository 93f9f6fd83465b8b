//! Images on their way in.

use futures::StreamExt;

use super::super::*;
use crate::Kind;
use crate::events::EventsRequest;
use crate::images::PullImage;
use crate::ports::Credentials;
use crate::testing::{World, layer, within};

fn request(name: &str, tag: &str) -> PullImage {
    PullImage { name: name.to_owned(), tag: tag.to_owned(), ..PullImage::default() }
}

async fn pull(world: &World, name: &str, tag: &str) -> Vec<String> {
    lines(world, request(name, tag)).await
}

/// `id: status` of each line, without those about how far something is.
async fn lines(world: &World, request: PullImage) -> Vec<String> {
    let stream = world.engine.images.pull(request).await.unwrap();
    within(stream.collect::<Vec<_>>())
        .await
        .into_iter()
        .filter_map(|line| match line {
            Progress::Message { id, text } => Some(format!("{id}: {text}")),
            Progress::Status { status, .. } if status == "Downloading" || status == "Waiting" => {
                None
            }
            Progress::Status { id, status, .. } => Some(format!("{id}: {status}")),
            Progress::Error(text) => Some(format!("error: {text}")),
            Progress::Stream(_) | Progress::Pushed { .. } => None,
        })
        .collect()
}

fn temporary(world: &World) -> usize {
    std::fs::read_dir(world.root().join("tmp")).unwrap().count()
}

fn layers(world: &World) -> usize {
    std::fs::read_dir(world.root().join("layers")).unwrap().count()
}

/// Layers are removed in the background when a pull has ended badly.
async fn until_layers(world: &World, wanted: usize) {
    within(async {
        while layers(world) != wanted || temporary(world) != 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_pull_is_told_as_docker_tells_it() {
    let world = World::new().await;
    let digest = world.remote.add("tool:1", "amd64", &[layer("a")]);
    let told = pull(&world, "tool", "1").await;
    let id = engine_store::digest_of(&layer("a"))[7..19].to_owned();
    assert_eq!(
        told,
        [
            "1: Pulling from library/tool".to_owned(),
            format!("{id}: Pulling fs layer"),
            format!("{id}: Verifying Checksum"),
            format!("{id}: Download complete"),
            format!("{id}: Extracting"),
            format!("{id}: Pull complete"),
            format!(": Digest: {digest}"),
            ": Status: Downloaded newer image for tool:1".to_owned(),
        ]
    );
    let image = world.engine.images.inspect("tool:1").unwrap();
    assert_eq!(image.repo_tags, ["tool:1"]);
    assert_eq!(image.repo_digests, [format!("tool@{digest}")]);
    assert_eq!(temporary(&world), 0);
    assert_eq!(world.engine.images.inspect(&format!("tool@{digest}")).unwrap().id, image.id);
}

#[tokio::test]
async fn what_is_up_to_date_costs_one_question() {
    let world = World::new().await;
    let digest = world.remote.add("tool:1", "amd64", &[layer("a")]);
    pull(&world, "tool", "1").await;
    world.remote.asked();
    assert_eq!(
        pull(&world, "tool", "1").await,
        [
            "1: Pulling from library/tool".to_owned(),
            format!(": Digest: {digest}"),
            ": Status: Image is up to date for tool:1".to_owned(),
        ]
    );
    assert_eq!(world.remote.asked(), ["digest docker.io/library/tool 1"]);
}

#[tokio::test]
async fn only_the_layers_that_changed_are_fetched() {
    let world = World::new().await;
    world.remote.add("tool:1", "amd64", &[layer("a"), layer("b")]);
    pull(&world, "tool", "1").await;
    world.remote.add("tool:2", "amd64", &[layer("a"), layer("c")]);
    world.remote.asked();
    let told = pull(&world, "tool", "2").await;
    assert!(told[1].ends_with("Already exists"), "{told:?}");
    let blobs = world.remote.asked().iter().filter(|asked| asked.starts_with("blob")).count();
    assert_eq!(blobs, 1);
}

#[tokio::test]
async fn a_tag_that_moved_leaves_the_old_image_with_its_digest() {
    let world = World::new().await;
    let old = world.remote.add("tool:1", "amd64", &[layer("a")]);
    pull(&world, "tool", "1").await;
    let id = world.engine.images.inspect("tool:1").unwrap().id;
    world.remote.add("tool:1", "amd64", &[layer("b")]);
    let told = pull(&world, "tool", "1").await;
    assert_eq!(told.last().unwrap(), ": Status: Downloaded newer image for tool:1");
    let image = world.engine.images.inspect(&id).unwrap();
    assert!(image.repo_tags.is_empty());
    assert_eq!(image.repo_digests, [format!("tool@{old}")]);
}

#[tokio::test]
async fn a_digest_is_asked_of_the_repository_it_is_wanted_from() {
    let world = World::new().await;
    let digest = world.remote.add("tool:1", "amd64", &[layer("a")]);
    pull(&world, "tool", "1").await;
    let elsewhere = request("other", &digest);
    let refused = world.engine.images.pull(elsewhere).await.err().unwrap();
    assert_eq!(refused.kind(), Kind::NotFound);
    let told = pull(&world, "tool", &digest).await;
    assert_eq!(told[0], format!("docker.io/library/tool@{digest}: Pulling from library/tool"));
    assert_eq!(told.last().unwrap(), &format!(": Status: Image is up to date for tool@{digest}"));
}

#[tokio::test]
async fn refusals_are_told_in_dockers_words() {
    let world = World::new().await;
    world.remote.add("tool:1", "amd64", &[layer("a")]);
    let refusal = async |request| world.engine.images.pull(request).await.err().unwrap();
    let missing = refusal(request("nosuch", "1")).await;
    assert_eq!(
        missing.to_string(),
        "pull access denied for nosuch, repository does not exist or may require 'docker login': \
         denied: requested access to the resource is denied"
    );
    assert_eq!(missing.kind(), Kind::NotFound);
    let unknown = refusal(request("tool", "2")).await;
    assert_eq!(
        unknown.to_string(),
        "manifest for tool:2 not found: manifest unknown: manifest unknown"
    );
    assert_eq!(refusal(request("scratch", "1")).await.kind(), Kind::Forbidden);
    assert_eq!(refusal(request("Bad", "1")).await.kind(), Kind::InvalidArgument);
    let other = refusal(request("tool", &format!("sha512:{}", "0".repeat(128)))).await;
    assert!(
        other.to_string().ends_with("not found: manifest unknown: manifest unknown"),
        "{other}"
    );
    let wrong = Credentials { password: "wrong".to_owned(), ..Credentials::default() };
    let request = PullImage { credentials: wrong, ..request("tool", "1") };
    assert_eq!(refusal(request).await.kind(), Kind::NotFound);
}

#[tokio::test]
async fn the_image_of_an_index_is_that_of_the_platform() {
    let world = World::new().await;
    let amd = world.remote.add("tool:amd", "amd64", &[layer("a")]);
    let arm = world.remote.add("tool:arm", "arm64", &[layer("b")]);
    let index = world.remote.add_index("tool:1", &[("arm64", &arm), ("amd64", &amd)]);
    pull(&world, "tool", "1").await;
    let image = world.engine.images.inspect("tool:1").unwrap();
    assert_eq!(image.architecture, "amd64");
    assert_eq!(image.repo_digests, [format!("tool@{index}")]);
    let asked = PullImage { platform: "linux/arm64".to_owned(), ..request("tool", "1") };
    let told = lines(&world, asked).await;
    assert_eq!(told.last().unwrap(), ": Status: Downloaded newer image for tool:1");
    assert_eq!(world.engine.images.inspect("tool:1").unwrap().architecture, "arm64");
    let asked = PullImage { platform: "linux/s390x".to_owned(), ..request("tool", "1") };
    let told = lines(&world, asked).await;
    assert_eq!(
        told.last().unwrap(),
        "error: no matching manifest for linux/s390x in the manifest list entries"
    );
    let asked = PullImage { platform: "linux/s390x".to_owned(), ..request("tool", "arm") };
    let told = lines(&world, asked).await;
    assert!(told.last().unwrap().starts_with(": WARNING: image with reference"), "{told:?}");
}

#[tokio::test]
async fn platforms_of_one_tag_stay_beside_each_other_and_the_tag_is_the_last_ones() {
    let world = World::new().await;
    let amd = world.remote.add("tool:amd", "amd64", &[layer("a")]);
    let arm = world.remote.add("tool:arm", "arm64", &[layer("b")]);
    world.remote.add_index("tool:1", &[("arm64", &arm), ("amd64", &amd)]);
    pull(&world, "tool", "1").await;
    let own = world.engine.images.inspect("tool:1").unwrap().id;
    let asked = PullImage { platform: "linux/arm64".to_owned(), ..request("tool", "1") };
    lines(&world, asked.clone()).await;
    let create = async |platform: &str| {
        let with_image = |request: &mut crate::containers::CreateContainer| {
            request.config.image = "tool:1".to_owned();
            request.platform = platform.to_owned();
        };
        world.create_with("", &["sleep"], with_image).await
    };
    assert!(create("linux/arm64/v8").await.is_ok());
    // From this a client knows that it has to pull.
    let other = create("linux/amd64").await.unwrap_err();
    assert_eq!(other.kind(), Kind::NotFound);
    assert_eq!(
        other.to_string(),
        "image with reference tool:1 was found but its platform (linux/arm64) does not match the \
         specified platform (linux/amd64)"
    );
    let mut with_image = crate::testing::request("", &["sleep"]);
    with_image.config.image = "tool:1".to_owned();
    let created = world.engine.containers.create(with_image).await.unwrap();
    assert_eq!(
        created.warnings,
        ["The requested image's platform (linux/arm64) does not match the detected host platform \
          (linux/amd64) and no specific platform was requested"]
    );
    assert!(world.engine.images.inspect(&own).is_ok());
    world.remote.asked();
    pull(&world, "tool", "1").await;
    assert_eq!(world.engine.images.inspect("tool:1").unwrap().id, own);
    assert!(world.remote.asked().iter().all(|asked| !asked.starts_with("blob")));
}

#[tokio::test]
async fn what_an_index_says_an_image_is_for_counts_as_well() {
    let world = World::new().await;
    let wrong = world.remote.add("tool:wrong", "amd64", &[layer("a")]);
    world.remote.add_index("tool:1", &[("s390x", &wrong)]);
    let asked = PullImage { platform: "linux/s390x".to_owned(), ..request("tool", "1") };
    let told = lines(&world, asked).await;
    assert_eq!(told.last().unwrap(), ": Status: Downloaded newer image for tool:1");
    assert!(world.engine.images.check_platform("tool:1", "linux/s390x").is_ok());
    assert!(world.engine.images.check_platform("tool:1", "linux/amd64").is_ok());
    assert!(world.engine.images.check_platform("tool:1", "linux/arm64").is_err());
}

#[tokio::test]
async fn every_tag_is_pulled_when_none_is_named() {
    let world = World::new().await;
    world.remote.add("tool:1", "amd64", &[layer("a")]);
    world.remote.add("tool:2", "amd64", &[layer("b")]);
    let told = pull(&world, "tool", "").await;
    assert_eq!(told.last().unwrap(), ": Status: Downloaded newer image for tool");
    assert!(world.engine.images.inspect("tool:1").is_ok());
    assert!(world.engine.images.inspect("tool:2").is_ok());
}

#[tokio::test]
async fn wrong_bytes_leave_nothing_and_the_right_ones_then_succeed() {
    let world = World::new().await;
    world.remote.add("tool:1", "amd64", &[layer("a"), layer("b")]);
    let before = layers(&world);
    let digest = engine_store::digest_of(&layer("b"));
    for wrong in [vec![0; layer("b").len()], layer("c"), layer("b")[..100].to_vec(), Vec::new()] {
        world.remote.send_instead(&digest, &wrong);
        let told = pull(&world, "tool", "1").await;
        assert_eq!(
            told.last().unwrap(),
            &format!("error: filesystem layer verification failed for digest {digest}")
        );
        assert!(world.engine.images.inspect("tool:1").is_err());
        until_layers(&world, before).await;
    }
    world.remote.recover();
    let told = pull(&world, "tool", "1").await;
    assert_eq!(told.last().unwrap(), ": Status: Downloaded newer image for tool:1");
}

#[tokio::test]
async fn a_pull_that_nobody_waits_for_is_given_up() {
    let world = World::new().await;
    world.remote.add("tool:1", "amd64", &[layer("a"), layer("b")]);
    let before = layers(&world);
    world.remote.stall_after(&engine_store::digest_of(&layer("b")), &layer("b")[..600]);
    let mut stream = world.engine.images.pull(request("tool", "1")).await.unwrap();
    within(stream.next()).await.unwrap();
    drop(stream);
    until_layers(&world, before).await;
    world.remote.recover();
    pull(&world, "tool", "1").await;
    assert!(world.engine.images.inspect("tool:1").is_ok());
}

#[tokio::test]
async fn two_pulls_of_a_layer_share_one_download() {
    let world = World::new().await;
    world.remote.add("tool:1", "amd64", &[layer("a")]);
    world.remote.add("tool:2", "amd64", &[layer("a"), layer("b")]);
    let (first, second) = tokio::join!(pull(&world, "tool", "1"), pull(&world, "tool", "2"));
    for told in [first, second] {
        assert!(told.last().unwrap().contains("Downloaded newer image"), "{told:?}");
    }
    let blob = format!("blob {}", engine_store::digest_of(&layer("a")));
    assert_eq!(world.remote.asked().iter().filter(|asked| **asked == blob).count(), 1);
}

#[tokio::test]
async fn a_layer_shared_with_an_image_that_goes_stays_for_the_pull() {
    let world = World::new().await;
    world.remote.add("old:1", "amd64", &[layer("a")]);
    pull(&world, "old", "1").await;
    world.remote.add("new:1", "amd64", &[layer("a"), layer("b")]);
    world.remote.stall_after(&engine_store::digest_of(&layer("b")), &[]);
    let mut stream = world.engine.images.pull(request("new", "1")).await.unwrap();
    within(async {
        while let Some(line) = stream.next().await {
            if matches!(&line, Progress::Status { status, .. } if status == "Already exists") {
                break;
            }
        }
    })
    .await;
    world.engine.images.remove("old:1", false, true).await.unwrap();
    let diff = world.engine.images.layer_paths(&[engine_store::digest_of(&layer("a"))]);
    assert!(diff[0].join("data/file").exists());
}

#[tokio::test]
async fn a_pull_is_an_event_of_its_name() {
    let world = World::new().await;
    world.remote.add("tool:1", "amd64", &[layer("a")]);
    pull(&world, "tool", "1").await;
    let until = crate::time::Clock::now(&crate::time::SystemClock);
    let request = EventsRequest { since: Some(0), until: Some(until), ..Default::default() };
    let events = world.engine.events.subscribe(request);
    let events: Vec<_> = within(events.collect()).await;
    let pulled = events.iter().find(|event| event.action == "pull").unwrap();
    assert_eq!((&*pulled.kind, &*pulled.actor), ("image", "tool:1"));
    assert_eq!((&*pulled.attributes["name"], &*pulled.attributes["from"]), ("tool", "far"));
}

#[tokio::test]
async fn a_pulled_image_goes_with_its_tag_unless_it_is_in_use() {
    let world = World::new().await;
    let digest = world.remote.add("tool:1", "amd64", &[layer("a")]);
    pull(&world, "tool", "1").await;
    let with_image = |request: &mut crate::containers::CreateContainer| {
        request.config.image = "tool:1".to_owned();
    };
    world.create_with("web", &["sleep"], with_image).await.unwrap();
    let refused = world.engine.images.remove("tool:1", false, true).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict);
    world.engine.containers.remove("web", false, false).await.unwrap();
    let removed = world.engine.images.remove("tool:1", false, true).await.unwrap();
    assert_eq!(
        removed[..2],
        [Removed::Untagged("tool:1".to_owned()), Removed::Untagged(format!("tool@{digest}")),]
    );
    assert!(matches!(removed[2], Removed::Deleted(_)));
}

#[tokio::test]
async fn what_the_signature_policy_refuses_is_not_fetched() {
    let world = World::new().await;
    let digest = world.remote.add("tool:1", "amd64", &[layer("a")]);
    let index = world.remote.add_index("tool:both", &[("amd64", &digest)]);
    world.remote.distrust(&digest);
    let told = pull(&world, "tool", "1").await;
    assert_eq!(told.last().unwrap(), "error: rejected by the signature policy");
    assert!(world.engine.images.inspect("tool:1").is_err());
    assert!(!world.remote.asked().iter().any(|asked| asked.starts_with("blob")));
    // Whoever signed the index has signed the image in it.
    let told = pull(&world, "tool", "both").await;
    assert_eq!(told.last().unwrap(), ": Status: Downloaded newer image for tool:both");
    // What is here already is judged again.
    world.remote.distrust(&index);
    let told = pull(&world, "tool", "both").await;
    assert_eq!(told.last().unwrap(), "error: rejected by the signature policy");
}

#[tokio::test]
async fn a_download_that_waits_says_for_how_long() {
    let world = World::new().await;
    world.remote.add("tool:1", "amd64", &[layer("a")]);
    world.remote.stall_after(&engine_store::digest_of(&layer("a")), &[]);
    let mut stream = world.engine.images.pull(request("tool", "1")).await.unwrap();
    within(async {
        while let Some(line) = stream.next().await {
            if matches!(&line, Progress::Status { status, .. } if status == "Retrying in 2 seconds")
            {
                return;
            }
        }
        panic!("nothing was said");
    })
    .await;
}
