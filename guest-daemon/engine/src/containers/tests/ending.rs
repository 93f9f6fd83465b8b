//! Signals, patience, removal.

use std::time::Duration;

use crate::Kind;
use crate::containers::{Status, WaitCondition};
use crate::testing::{World, within};

#[tokio::test]
async fn a_running_container_is_not_removed() {
    let world = World::new().await;
    world.create("web", &["sleep"]).await;
    world.start("web").await;
    let error = world.engine.containers.remove("web", false, false).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(
        error.to_string(),
        "cannot remove container \"web\": container is running: stop the container before \
         removing or force remove"
    );
    world.engine.containers.remove("web", true, false).await.unwrap();
    assert!(world.engine.containers.inspect("web").is_err());
}

#[tokio::test]
async fn a_container_that_ignores_the_stop_signal_is_killed_after_the_grace_period() {
    let world = World::new().await;
    world.create("web", &["stubborn"]).await;
    world.start("web").await;
    within(world.engine.containers.stop("web", None, Some(1))).await.unwrap();
    assert_eq!(world.engine.containers.inspect("web").unwrap().state.exit_code, 137);
}

#[tokio::test]
async fn a_kill_is_heard_during_the_grace_period() {
    let world = World::new().await;
    world.create("web", &["stubborn"]).await;
    world.start("web").await;
    let engine = world.engine.clone();
    let stopping = tokio::spawn(async move { engine.containers.stop("web", None, Some(-1)).await });
    // The stop has been heard once its signal was sent.
    let request = crate::events::EventsRequest {
        since: Some(0),
        filters: [("event".to_owned(), vec!["kill".to_owned()])].into(),
        ..Default::default()
    };
    let mut events = world.engine.events.subscribe(request);
    within(futures::StreamExt::next(&mut events)).await.unwrap();
    assert_eq!(world.engine.containers.inspect("web").unwrap().state.status, Status::Running);
    world.engine.containers.kill("web", "KILL").await.unwrap();
    within(stopping).await.unwrap().unwrap();
    assert_eq!(world.wait("web", WaitCondition::NotRunning).await, 137);
}

#[tokio::test]
async fn killing_what_does_not_run_is_a_conflict() {
    let world = World::new().await;
    let id = world.create("web", &["sleep"]).await;
    let error = world.engine.containers.kill("web", "").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().ends_with(&format!("container {id} is not running")), "{error}");
    let bad = world.engine.containers.kill("web", "SIGNOPE").await.unwrap_err();
    assert_eq!(bad.to_string(), "cannot kill container: web: invalid signal: SIGNOPE");
}

#[tokio::test]
async fn the_containers_own_stop_signal_is_used() {
    let world = World::new().await;
    world
        .create_with("web", &["sleep"], |request| {
            request.config.stop_signal = Some("SIGQUIT".into());
        })
        .await
        .unwrap();
    world.start("web").await;
    world.engine.containers.stop("web", None, None).await.unwrap();
    assert_eq!(world.engine.containers.inspect("web").unwrap().state.exit_code, 131);
}

#[tokio::test]
async fn waiting_is_for_the_condition_that_was_named() {
    let world = World::new().await;
    let id = world.create("web", &["sleep"]).await;
    assert_eq!(world.wait(&id, WaitCondition::NotRunning).await, 0);
    let next = world.engine.containers.wait(&id, WaitCondition::NextExit).unwrap();
    let mut next = Box::pin(next);
    let early = tokio::time::timeout(Duration::from_millis(20), &mut next).await;
    assert!(early.is_err());
    world.start(&id).await;
    world.runtime.exit(&id, 9);
    assert_eq!(within(next).await.unwrap().code, 9);
}

#[tokio::test]
async fn a_restart_keeps_an_automatic_container() {
    let world = World::new().await;
    let id = world
        .create_with("web", &["sleep"], |request| request.host.auto_remove = true)
        .await
        .unwrap();
    world.start(&id).await;
    world.engine.containers.restart(&id, None, Some(5)).await.unwrap();
    assert_eq!(world.engine.containers.inspect(&id).unwrap().state.status, Status::Running);
    let removed = world.engine.containers.wait(&id, WaitCondition::Removed).unwrap();
    world.engine.containers.stop(&id, None, None).await.unwrap();
    within(removed).await.unwrap();
}
