//! Further processes, over fakes.

use bytes::Bytes;

use super::*;
use crate::Kind;
use crate::testing::{World, text, within};

fn request(command: &[&str]) -> CreateExec {
    CreateExec {
        cmd: command.iter().map(|word| (*word).to_owned()).collect(),
        attach_stdout: true,
        attach_stderr: true,
        ..CreateExec::default()
    }
}

async fn running() -> World {
    let world = World::new().await;
    world.create("web", &["sleep"]).await;
    world.start("web").await;
    world
}

async fn run(world: &World, request: CreateExec) -> (String, Option<i32>) {
    let id = world.engine.exec.create("web", request).await.unwrap();
    let attachment = world.engine.exec.start(&id, None).await.unwrap();
    let output = text(attachment.output).await;
    (output, world.engine.exec.inspect(&id).unwrap().exit_code)
}

#[tokio::test]
async fn output_and_exit_code_come_back() {
    let world = running().await;
    let (output, code) = run(&world, request(&["sh", "-c", "echo hi; exit 3"])).await;
    assert_eq!((output.as_str(), code), ("hi\n", Some(3)));
    let events = world.events().await;
    for expected in [
        "container exec_create: sh -c echo hi; exit 3",
        "container exec_start: sh -c echo hi; exit 3",
    ] {
        assert!(events.contains(&expected.to_owned()), "{events:?}");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_127_and_one_that_may_not_run_126() {
    let world = running().await;
    for (program, code, why) in [
        ("nosuch", 127, "executable file not found in $PATH"),
        ("/etc/passwd", 126, "permission denied"),
    ] {
        let id = world.engine.exec.create("web", request(&[program])).await.unwrap();
        let error = world.engine.exec.start(&id, None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        let text = error.to_string();
        assert!(text.starts_with("OCI runtime exec failed: exec failed: "), "{text}");
        assert!(text.contains(why), "{text}");
        assert_eq!(world.engine.exec.inspect(&id).unwrap().exit_code, Some(code));
    }
}

#[tokio::test]
async fn input_reaches_the_process_and_its_end_too() {
    let world = running().await;
    let id = world
        .engine
        .exec
        .create("web", CreateExec { attach_stdin: true, ..request(&["cat"]) })
        .await
        .unwrap();
    let attachment = world.engine.exec.start(&id, None).await.unwrap();
    let input = attachment.input.unwrap();
    assert!(input.send(Bytes::from_static(b"hi")).await);
    drop(input);
    assert_eq!(text(attachment.output).await, "hi");
    let again = world.engine.exec.start(&id, None).await.unwrap_err();
    assert_eq!(again.kind(), Kind::Conflict);
    assert_eq!(again.to_string(), format!("exec command {id} has already run"));
}

#[tokio::test]
async fn only_a_running_container_has_execs() {
    let world = World::new().await;
    let id = world.create("web", &["sleep"]).await;
    let error = world.engine.exec.create("web", request(&["true"])).await.unwrap_err();
    assert_eq!(error.to_string(), format!("container {id} is not running"));
    assert_eq!(error.kind(), Kind::Conflict);
    let missing = world.engine.exec.inspect("0123").unwrap_err();
    assert_eq!(missing.to_string(), "No such exec instance: 0123");
}

#[tokio::test]
async fn an_exec_for_nobody_is_refused_before_it_is_started() {
    let world = running().await;
    let create = |user: &str| {
        let request = CreateExec { user: user.to_owned(), ..request(&["true"]) };
        world.engine.exec.create("web", request)
    };
    create("root").await.unwrap();
    let error = create("nosuch").await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert_eq!(error.to_string(), "unable to find user nosuch: no matching entries in passwd file");
}

#[tokio::test]
async fn a_detached_exec_runs_without_a_client() {
    let world = running().await;
    let id = world.engine.exec.create("web", request(&["echo", "x"])).await.unwrap();
    world.engine.exec.start_detached(&id, None).await.unwrap();
    let request = crate::events::EventsRequest {
        since: Some(0),
        filters: [("event".to_owned(), vec!["exec_die".to_owned()])].into(),
        ..Default::default()
    };
    let mut events = world.engine.events.subscribe(request);
    within(futures::StreamExt::next(&mut events)).await.unwrap();
    assert_eq!(world.engine.exec.inspect(&id).unwrap().exit_code, Some(0));
}
