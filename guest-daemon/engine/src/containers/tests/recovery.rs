//! What a new daemon finds.

use crate::config::RestartPolicy;
use crate::containers::{Status, WaitCondition};
use crate::exec::CreateExec;
use crate::testing::World;

#[tokio::test]
async fn running_containers_go_on_and_their_logs_stay_whole() {
    let mut world = World::new().await;
    let id = world.create("web", &["sleep"]).await;
    world.start("web").await;
    world.runtime.print(&id, b"before\nhalf ");
    let options =
        crate::containers::LogOptions { stdout: true, follow: true, ..Default::default() };
    let (_, mut stream) = world.engine.containers.logs(&id, options).await.unwrap();
    futures::StreamExt::next(&mut stream).await.unwrap().unwrap();
    world.restart_daemon().await;
    world.runtime.print(&id, b"and half\n");
    let container = world.engine.containers.inspect("web").unwrap();
    assert_eq!(container.state.status, Status::Running);
    assert_eq!(container.networks["bridge"].ip_address, "172.17.0.2");
    assert_eq!(world.network.attached(), std::slice::from_ref(&id));
    world.runtime.exit(&id, 7);
    assert_eq!(world.wait("web", WaitCondition::NotRunning).await, 7);
    assert_eq!(world.logs("web").await, "before\nhalf and half\n");
}

#[tokio::test]
async fn an_end_while_no_daemon_was_there_is_not_missed() {
    let mut world = World::new().await;
    let id = world.create("web", &["sleep"]).await;
    world.start("web").await;
    world.engine.abandon().await;
    world.runtime.print(&id, b"last words");
    world.runtime.exit(&id, 5);
    world.restart_daemon().await;
    assert_eq!(world.wait("web", WaitCondition::NotRunning).await, 5);
    assert_eq!(world.logs("web").await, "last words");
    assert!(world.runtime.existing().is_empty());
}

#[tokio::test]
async fn after_a_loss_of_power_containers_are_exited_and_automatic_ones_gone() {
    let mut world = World::new().await;
    world.create("web", &["sleep"]).await;
    world.create_with("gone", &["sleep"], |request| request.host.auto_remove = true).await.unwrap();
    world
        .create_with("again", &["sleep"], |request| {
            request.host.restart_policy =
                RestartPolicy { name: "always".into(), maximum_retry_count: 0 };
        })
        .await
        .unwrap();
    for name in ["web", "gone", "again"] {
        world.start(name).await;
    }
    world.engine.abandon().await;
    world.runtime.power_off();
    world.restart_daemon().await;
    let state = world.engine.containers.inspect("web").unwrap().state;
    assert_eq!((state.status, state.exit_code), (Status::Exited, 255));
    assert!(state.finished_at.is_some());
    assert!(world.engine.containers.inspect("gone").is_err());
    assert!(world.engine.images.inspect("busybox").is_ok());
    let handle = world.engine.containers.core.registry.find("again").unwrap();
    let mut snapshot = handle.snapshot;
    crate::testing::within(snapshot.wait_for(|now| now.is_running())).await.unwrap();
    world.start("web").await;
}

#[tokio::test]
async fn an_exec_that_outlives_the_daemon_does_not_block() {
    let mut world = World::new().await;
    let id = world.create("web", &["sleep"]).await;
    world.start("web").await;
    let request =
        CreateExec { cmd: vec!["sleep".into()], attach_stdout: true, ..CreateExec::default() };
    let exec = world.engine.exec.create("web", request).await.unwrap();
    world.engine.exec.start_detached(&exec, None).await.unwrap();
    world.restart_daemon().await;
    assert!(world.engine.exec.inspect(&exec).unwrap().running);
    world.engine.containers.kill(&id, "KILL").await.unwrap();
    assert_eq!(world.wait(&id, WaitCondition::NotRunning).await, 137);
}

#[tokio::test]
async fn a_shutdown_stops_all_and_policies_count_at_the_next_open() {
    let mut world = World::new().await;
    world
        .create_with("again", &["sleep"], |request| {
            request.host.restart_policy =
                RestartPolicy { name: "unless-stopped".into(), maximum_retry_count: 0 };
        })
        .await
        .unwrap();
    world.start("again").await;
    world.engine.shutdown(5).await;
    assert!(world.runtime.existing().is_empty());
    world.restart_daemon().await;
    let handle = world.engine.containers.core.registry.find("again").unwrap();
    let mut snapshot = handle.snapshot;
    crate::testing::within(snapshot.wait_for(|now| now.is_running())).await.unwrap();
}
