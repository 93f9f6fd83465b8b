//! Pausing, other limits, measuring, running out of memory.

use futures::StreamExt;

use crate::Kind;
use crate::config::{HostConfig, RestartPolicy};
use crate::containers::{Status, WaitCondition};
use crate::exec::CreateExec;
use crate::testing::{World, within};

#[tokio::test]
async fn a_paused_container_runs_but_does_nothing() {
    let mut world = World::new().await;
    let id = world.create("web", &["sleep", "100"]).await;
    let containers = &world.engine.containers;
    let error = containers.pause("web").await.unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (Kind::Conflict, not_running(&id)));
    world.start("web").await;
    containers.pause("web").await.unwrap();
    let state = containers.inspect("web").unwrap().state;
    assert_eq!(state.status, Status::Paused);
    assert_ne!(state.pid, 0);
    assert!(world.runtime.is_paused(&id));
    let again = containers.pause("web").await.unwrap_err();
    assert_eq!(again.to_string(), format!("Container {id} is already paused"));
    let start = containers.start("web", "").await.unwrap_err();
    assert_eq!(start.to_string(), "cannot start a paused container, try unpause instead");
    let exec = CreateExec { cmd: vec!["true".into()], ..CreateExec::default() };
    let exec = world.engine.exec.create("web", exec).await.unwrap_err();
    assert_eq!(exec.to_string(), "Container web is paused, unpause the container before exec");
    let remove = containers.remove("web", false, false).await.unwrap_err();
    assert_eq!(
        remove.to_string(),
        "cannot remove container \"web\": container is paused and must be unpaused first"
    );

    world.restart_daemon().await;
    let containers = &world.engine.containers;
    assert_eq!(containers.inspect("web").unwrap().state.status, Status::Paused);
    containers.unpause("web").await.unwrap();
    assert_eq!(containers.inspect("web").unwrap().state.status, Status::Running);
    let again = containers.unpause("web").await.unwrap_err();
    assert_eq!(again.to_string(), format!("Container {id} is not paused"));
    assert_eq!(again.kind(), Kind::Internal);
}

fn not_running(id: &str) -> String {
    format!("container {id} is not running")
}

#[tokio::test]
async fn a_paused_container_hears_what_is_to_end_it() {
    let world = World::new().await;
    world.create("web", &["sleep", "100"]).await;
    let containers = &world.engine.containers;
    world.start("web").await;
    containers.pause("web").await.unwrap();
    containers.stop("web", None, None).await.unwrap();
    assert_eq!(world.wait("web", WaitCondition::NotRunning).await, 143);
    let events = world.events().await;
    let end = events.iter().position(|event| event == "container kill").unwrap();
    let wanted = ["container kill", "container unpause", "network disconnect", "container die"];
    assert_eq!(events[end..end + 4], wanted);

    world.start("web").await;
    assert_eq!(containers.inspect("web").unwrap().state.status, Status::Running);
    containers.pause("web").await.unwrap();
    containers.remove("web", true, false).await.unwrap();
}

#[tokio::test]
async fn limits_change_while_it_runs_and_stay() {
    let mut world = World::new().await;
    let id = world.create("web", &["sleep", "100"]).await;
    world.start("web").await;
    let change = HostConfig {
        memory: 32 << 20,
        memory_swap: -1,
        pids_limit: Some(0),
        restart_policy: RestartPolicy { name: "always".into(), ..RestartPolicy::default() },
        ..HostConfig::default()
    };
    let containers = &world.engine.containers;
    assert_eq!(containers.update("web", change).await.unwrap(), Vec::<String>::new());
    let cgroup = world.runtime.spec(&id).unwrap().cgroup;
    assert_eq!((cgroup.memory, cgroup.swap, cgroup.pids_limit), (32 << 20, -1, -1));
    assert!(world.events().await.contains(&"container update".to_owned()));
    let change = HostConfig { memory: 1 << 20, ..HostConfig::default() };
    let error = containers.update("web", change).await.unwrap_err();
    assert_eq!(error.to_string(), "Minimum memory limit allowed is 6MB");
    let change = HostConfig { memory: 64 << 20, ..HostConfig::default() };
    let error = containers.update("web", change).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("Cannot update container {id}: Memory limit")));

    world.restart_daemon().await;
    let host = world.engine.containers.inspect("web").unwrap().host;
    assert_eq!((host.memory, &*host.restart_policy.name), (32 << 20, "always"));
}

#[tokio::test]
async fn what_a_container_uses_is_told_and_zeros_when_it_does_not_run() {
    let world = World::new().await;
    let id = world.create("web", &["sleep", "100"]).await;
    let containers = &world.engine.containers;
    let stopped = containers.stats("web", false).await.unwrap();
    assert_eq!((stopped.id, stopped.read), (id, None));
    world.start("web").await;
    let once = containers.stats("web", true).await.unwrap();
    assert!(once.read.is_some() && once.previous_read.is_none());
    // Without a limit it is the machine's memory.
    assert_eq!(once.usage.memory.limit, 1 << 30);
    let mut stream = containers.stats_stream("web").unwrap();
    let first = within(stream.next()).await.unwrap();
    let second = within(stream.next()).await.unwrap();
    assert_eq!((first.previous_read, second.previous_read), (None, first.read));
    assert_eq!(second.previous_cpu, first.usage.cpu);
    containers.remove("web", true, false).await.unwrap();
    within(stream.for_each(|_| std::future::ready(()))).await;
}

#[tokio::test]
async fn a_process_killed_for_want_of_memory_is_told_though_the_container_goes_on() {
    let world = World::new().await;
    let id = world.create("web", &["sleep", "100"]).await;
    world.start("web").await;
    let events = crate::events::EventsRequest {
        filters: [("event".to_owned(), vec!["oom".to_owned()])].into(),
        ..Default::default()
    };
    let mut events = world.engine.events.subscribe(events);
    world.runtime.run_out_of_memory(&id);
    within(events.next()).await.unwrap();
    let state = world.engine.containers.inspect("web").unwrap().state;
    assert!(state.oom_killed);
    assert_eq!(state.status, Status::Running);
}
