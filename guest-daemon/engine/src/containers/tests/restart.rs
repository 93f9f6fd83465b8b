//! Restart policies in time; the clock of these tests stands still unless everybody waits.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::RestartPolicy;
use crate::containers::{Status, WaitCondition};
use crate::testing::World;

async fn with_policy(name: &str, most: i64) -> World {
    let world = World::new().await;
    let create = world.create_with("web", &["sleep"], |request| {
        request.host.restart_policy =
            RestartPolicy { name: name.into(), maximum_retry_count: most };
    });
    create.await.unwrap();
    world.start("web").await;
    world
}

/// Ends the container's process and waits until it runs again; how long that took.
async fn crash(world: &World) -> Duration {
    let id = world.engine.containers.inspect("web").unwrap().id;
    let mut snapshot = world.engine.containers.core.registry.find("web").unwrap().snapshot;
    let exits = snapshot.borrow().exits;
    world.runtime.exit(&id, 1);
    snapshot.wait_for(|now| now.exits > exits).await.unwrap();
    let ended = Instant::now();
    snapshot.wait_for(|now| now.is_running()).await.unwrap();
    ended.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_wait_doubles_and_begins_anew_after_a_good_run() {
    let world = with_policy("always", 0).await;
    let mut waits = Vec::new();
    for _ in 0..4 {
        waits.push(crash(&world).await.as_millis() / 100);
    }
    assert_eq!(waits, [1, 2, 4, 8]);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(crash(&world).await.as_millis() / 100, 1);
    assert_eq!(world.engine.containers.inspect("web").unwrap().restart_count, 5);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_waits_to_be_restarted_is_up_and_can_be_stopped() {
    let world = with_policy("always", 0).await;
    for _ in 0..5 {
        crash(&world).await;
    }
    let ended = world.engine.containers.wait("web", WaitCondition::NotRunning).unwrap();
    world.runtime.exit(&world.engine.containers.inspect("web").unwrap().id, 7);
    assert_eq!(ended.await.unwrap().code, 7, "whoever waited for its end hears of it");
    let container = world.engine.containers.inspect("web").unwrap();
    assert_eq!((container.state.status, container.restart_count), (Status::Restarting, 6));
    assert_eq!(world.engine.containers.list(&Default::default()).unwrap().len(), 1);
    let refused = world.engine.containers.remove("web", false, false).await.unwrap_err();
    assert!(refused.to_string().contains("container is restarting: stop the container"));
    world.engine.containers.stop("web", None, None).await.unwrap();
    let state = world.engine.containers.inspect("web").unwrap().state;
    assert_eq!((state.status, state.exit_code), (Status::Exited, 7));
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(world.engine.containers.inspect("web").unwrap().state.status, Status::Exited);
}

#[tokio::test(start_paused = true)]
async fn a_start_by_hand_begins_counting_anew() {
    let world = with_policy("on-failure", 1).await;
    crash(&world).await;
    let id = world.engine.containers.inspect("web").unwrap().id;
    world.runtime.exit(&id, 1);
    assert_eq!(world.wait("web", WaitCondition::NotRunning).await, 1);
    assert_eq!(world.engine.containers.inspect("web").unwrap().restart_count, 1);
    world.start("web").await;
    assert_eq!(world.engine.containers.inspect("web").unwrap().restart_count, 0);
    crash(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_container_stays_down_whatever_its_policy() {
    for policy in ["always", "unless-stopped"] {
        let world = with_policy(policy, 0).await;
        world.engine.containers.kill("web", "").await.unwrap();
        tokio::time::sleep(Duration::from_secs(120)).await;
        let state = world.engine.containers.inspect("web").unwrap().state;
        assert_eq!((state.status, state.exit_code), (Status::Exited, 137), "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_is_the_last_and_keeps_the_exit_code() {
    let world = with_policy("always", 0).await;
    world.runtime.fail_next_create("no room");
    let id = world.engine.containers.inspect("web").unwrap().id;
    world.runtime.exit(&id, 3);
    let mut snapshot = world.engine.containers.core.registry.find("web").unwrap().snapshot;
    snapshot.wait_for(|now| now.container.state.status == Status::Exited).await.unwrap();
    let state = world.engine.containers.inspect("web").unwrap().state;
    assert_eq!(state.exit_code, 3);
    assert!(state.error.contains("no room"), "{state:?}");
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(world.engine.containers.inspect("web").unwrap().state.status, Status::Exited);
}
