//! Health checks in time; the clock of these tests stands still unless everybody waits.

use std::time::Duration;

use crate::config::HealthConfig;
use crate::containers::{Health, HealthStatus};
use crate::testing::World;

const SECOND: i64 = 1_000_000_000;

fn check(test: &[&str]) -> HealthConfig {
    let test = test.iter().map(|word| (*word).to_owned()).collect();
    HealthConfig { test, interval: 10 * SECOND, retries: 2, ..HealthConfig::default() }
}

async fn running(health: HealthConfig) -> World {
    let world = World::new().await;
    let create = world.create_with("web", &["sleep"], |request| {
        request.config.healthcheck = Some(health);
    });
    create.await.unwrap();
    world.start("web").await;
    world
}

fn health(world: &World) -> Health {
    world.engine.containers.inspect("web").unwrap().state.health.unwrap()
}

async fn until(world: &World, fits: impl Fn(&Health) -> bool) -> Health {
    let mut snapshot = world.engine.containers.core.registry.find("web").unwrap().snapshot;
    let fitting = snapshot.wait_for(|now| now.container.state.health.as_ref().is_some_and(&fits));
    tokio::time::timeout(Duration::from_secs(3600), fitting).await.unwrap().unwrap();
    health(world)
}

#[tokio::test(start_paused = true)]
async fn a_container_is_starting_until_its_first_probe_succeeds() {
    let began = tokio::time::Instant::now();
    let world = running(check(&["CMD", "echo", "well"])).await;
    assert_eq!(health(&world), Health::default());
    let health = until(&world, |health| health.status == HealthStatus::Healthy).await;
    assert!(began.elapsed() >= Duration::from_secs(10));
    assert_eq!((health.log.len(), health.log[0].exit_code), (1, 0));
    assert_eq!(health.log[0].output, "well\n");
    let events = world.events().await;
    let at = |wanted: &str| events.iter().position(|event| event == wanted).unwrap();
    assert!(at("container start") < at("container exec_create: echo well"), "{events:?}");
    assert!(at("container exec_create: echo well") < at("container exec_start: echo well"));
    assert!(at("container exec_start: echo well") < at("container exec_die"));
    assert!(at("container exec_die") < at("container health_status: healthy"));
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_make_it_unhealthy_and_its_end_too() {
    let world = running(check(&["CMD-SHELL", "echo ill; exit 1"])).await;
    let health = until(&world, |health| health.status == HealthStatus::Unhealthy).await;
    assert_eq!((health.failing_streak, health.log.len()), (2, 2));
    assert_eq!(health.log[1].output, "ill\n");
    world.engine.containers.kill("web", "KILL").await.unwrap();
    let ended = self::health(&world);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(self::health(&world), ended, "nothing is probed that does not run");
    world.start("web").await;
    let again = self::health(&world);
    assert_eq!(
        (again.status, again.failing_streak, again.log.len()),
        (HealthStatus::Starting, 0, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_takes_too_long_has_failed_and_is_killed() {
    let slow = HealthConfig { timeout: 3 * SECOND, ..check(&["CMD", "sleep", "100"]) };
    let world = running(slow).await;
    let health = until(&world, |health| !health.log.is_empty()).await;
    assert_eq!(health.log[0].exit_code, -1);
    assert_eq!(health.log[0].output, "Health check exceeded timeout (3s)");
    assert!(world.events().await.contains(&"container exec_die".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_cannot_be_run_says_why() {
    let world = running(check(&["CMD", "nosuch"])).await;
    let health = until(&world, |health| !health.log.is_empty()).await;
    assert_eq!(health.log[0].exit_code, -1);
    assert!(health.log[0].output.contains("executable file not found"), "{health:?}");
}

#[tokio::test(start_paused = true)]
async fn long_output_of_a_probe_is_cut() {
    let text = "x".repeat(5000);
    let world = running(check(&["CMD", "echo", &text])).await;
    let health = until(&world, |health| !health.log.is_empty()).await;
    assert_eq!(health.log[0].output, format!("{}...", "x".repeat(4096)));
}

#[tokio::test(start_paused = true)]
async fn probes_leave_no_exec_behind() {
    let world = running(check(&["CMD", "true"])).await;
    until(&world, |health| health.log.len() == 5).await;
    let core = &world.engine.containers.core;
    let id = world.engine.containers.inspect("web").unwrap().id;
    assert!(core.execs.of(&id).is_empty());
    assert!(world.engine.containers.inspect("web").unwrap().exec_ids.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_daemon_goes_on_probing() {
    let mut world = running(check(&["CMD", "true"])).await;
    until(&world, |health| health.status == HealthStatus::Healthy).await;
    world.restart_daemon().await;
    assert_eq!(health(&world).status, HealthStatus::Starting);
    until(&world, |health| health.status == HealthStatus::Healthy).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_container_is_not_probed() {
    let world = running(check(&["CMD", "true"])).await;
    until(&world, |health| health.status == HealthStatus::Healthy).await;
    world.engine.containers.pause("web").await.unwrap();
    let paused = health(&world);
    assert_eq!(paused.status, HealthStatus::Unhealthy);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(health(&world), paused);
    world.engine.containers.unpause("web").await.unwrap();
    until(&world, |health| health.status == HealthStatus::Healthy).await;
}

#[tokio::test(start_paused = true)]
async fn none_takes_the_images_check_away() {
    let world =
        running(HealthConfig { test: vec!["NONE".into()], ..HealthConfig::default() }).await;
    assert_eq!(world.engine.containers.inspect("web").unwrap().state.health, None);
}
