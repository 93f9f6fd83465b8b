//! Attaching, input, detaching, logs.

use bytes::Bytes;
use futures::StreamExt;

use crate::config::LogConfig;
use crate::containers::{AttachOptions, LogOptions, WaitCondition};
use crate::ports::TerminalSize;
use crate::testing::{World, text, within};

#[tokio::test]
async fn whoever_attaches_before_the_start_gets_every_byte() {
    let world = World::new().await;
    world.create("web", &["sh", "-c", "echo out; echo err >&2; exit 3"]).await;
    let one = world.attach("web").await;
    let two = world.attach("web").await;
    world.start("web").await;
    for attachment in [one, two] {
        let seen = text(attachment.output).await;
        assert!(seen.contains("out\n") && seen.contains("!err\n"), "{seen}");
    }
    assert_eq!(world.wait("web", WaitCondition::NotRunning).await, 3);
    let logged = world.logs("web").await;
    assert!(logged.contains("out\n") && logged.contains("!err\n"), "{logged}");
}

#[tokio::test]
async fn input_is_half_closed_and_output_goes_on() {
    let world = World::new().await;
    world
        .create_with("cat", &["cat"], |request| {
            request.config.open_stdin = true;
            request.config.stdin_once = true;
        })
        .await
        .unwrap();
    let attachment = world.attach("cat").await;
    let input = attachment.input.unwrap();
    // Sent before there is a process to read it.
    assert!(input.send(Bytes::from_static(b"hi\n")).await);
    drop(input);
    world.start("cat").await;
    assert_eq!(text(attachment.output).await, "hi\n");
    assert_eq!(world.wait("cat", WaitCondition::NotRunning).await, 0);
}

#[tokio::test]
async fn without_stdin_once_the_containers_input_stays_open() {
    let world = World::new().await;
    let id = world
        .create_with("cat", &["cat"], |request| request.config.open_stdin = true)
        .await
        .unwrap();
    world.start("cat").await;
    drop(world.attach("cat").await.input);
    let again = world.attach("cat").await;
    let mut output = again.output;
    assert!(again.input.unwrap().send(Bytes::from_static(b"x")).await);
    assert_eq!(within(output.next()).await.unwrap().unwrap().data, "x");
    world.runtime.exit(&id, 0);
}

#[tokio::test]
async fn detach_keys_end_the_attachment_and_not_the_process() {
    let world = World::new().await;
    let id = world
        .create_with("tty", &["cat"], |request| {
            request.config.open_stdin = true;
            request.config.tty = true;
        })
        .await
        .unwrap();
    let attachment = world.attach("tty").await;
    world.start("tty").await;
    assert!(attachment.tty);
    let input = attachment.input.unwrap();
    input.send(Bytes::from_static(b"a\x10")).await;
    input.send(Bytes::from_static(b"\x11")).await;
    text(attachment.output).await;
    assert!(world.events().await.contains(&"container detach".to_owned()));
    assert_eq!(world.engine.containers.inspect(&id).unwrap().state.pid, 1);
    world.engine.containers.resize(&id, TerminalSize { rows: 24, columns: 80 }).await.unwrap();
    assert_eq!(world.runtime.terminal_size(&id).unwrap().columns, 80);
    let bad = AttachOptions { detach_keys: "ctrl-?".into(), ..Default::default() };
    let error = world.engine.containers.attach(&id, bad).await.unwrap_err();
    assert_eq!(error.to_string(), "Invalid detach keys (ctrl-?) provided");
}

#[tokio::test]
async fn a_slow_client_neither_loses_a_byte_nor_holds_the_container_up() {
    let world = World::new().await;
    let id = world.create("web", &["sleep"]).await;
    let attachment = world.attach("web").await;
    world.start("web").await;
    let line = format!("{}\n", "x".repeat(999));
    for _ in 0..4000 {
        world.runtime.print(&id, line.as_bytes());
    }
    world.runtime.print(&id, b"no newline at the end");
    world.runtime.exit(&id, 0);
    // The client has read nothing so far; the container ends nevertheless.
    assert_eq!(world.wait(&id, WaitCondition::NotRunning).await, 0);
    let seen = text(attachment.output).await;
    assert_eq!(seen.len(), 4_000_021);
    assert!(seen.ends_with("no newline at the end"));
}

#[tokio::test]
async fn attaching_with_logs_begins_with_the_past_and_goes_on_live() {
    let world = World::new().await;
    let id = world.create("web", &["sleep"]).await;
    world.start("web").await;
    world.runtime.print(&id, b"past\nhalf ");
    let first = AttachOptions {
        stdout: true,
        stderr: true,
        stream: true,
        logs: true,
        ..AttachOptions::default()
    };
    let attachment = world.engine.containers.attach(&id, first).await.unwrap();
    world.runtime.print(&id, b"line\nlive\n");
    world.runtime.exit(&id, 0);
    assert_eq!(text(attachment.output).await, "past\nhalf line\nlive\n");
}

#[tokio::test]
async fn logs_are_cut_by_tail_and_followed_to_the_end() {
    let world = World::new().await;
    let id = world.create("web", &["sleep"]).await;
    world.start("web").await;
    world.runtime.print(&id, b"one\ntwo\nthree\n");
    let options = LogOptions { stdout: true, follow: true, ..LogOptions::default() };
    let (tty, mut stream) = world.engine.containers.logs(&id, options).await.unwrap();
    assert!(!tty);
    for expected in ["one\n", "two\n", "three\n"] {
        assert_eq!(within(stream.next()).await.unwrap().unwrap().data, expected);
    }
    world.runtime.print(&id, b"four");
    world.runtime.exit(&id, 0);
    assert_eq!(text(stream).await, "four");
    let options = LogOptions { stdout: true, tail: Some(2), ..LogOptions::default() };
    let (_, stream) = world.engine.containers.logs(&id, options).await.unwrap();
    assert_eq!(text(stream).await, "three\nfour");
    let options = LogOptions { stdout: true, timestamps: true, ..LogOptions::default() };
    let (_, stream) = world.engine.containers.logs(&id, options).await.unwrap();
    let stamped = text(stream).await;
    let stamp = stamped.split(' ').next().unwrap();
    assert_eq!((stamp.len(), stamp.ends_with('Z')), (30, true), "{stamp}");
    let nothing = world.engine.containers.logs(&id, LogOptions::default()).await;
    assert_eq!(nothing.err().unwrap().kind(), crate::Kind::InvalidArgument);
}

#[tokio::test]
async fn a_rotated_log_is_followed_over_its_files() {
    let world = World::new().await;
    let id = world
        .create_with("web", &["sleep"], |request| {
            request.host.log_config = LogConfig {
                driver: "json-file".into(),
                options: [("max-size", "1k"), ("max-file", "50")]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
            };
        })
        .await
        .unwrap();
    world.start("web").await;
    let options = LogOptions { stdout: true, follow: true, ..LogOptions::default() };
    let (_, mut stream) = world.engine.containers.logs(&id, options).await.unwrap();
    for number in 0..100 {
        let line = format!("line number {number}\n");
        world.runtime.print(&id, line.as_bytes());
        assert_eq!(within(stream.next()).await.unwrap().unwrap().data, line);
    }
    world.runtime.exit(&id, 0);
    assert_eq!(text(stream).await, "");
    assert_eq!(world.logs(&id).await.lines().count(), 100);
}

#[tokio::test]
async fn a_container_without_a_log_still_serves_who_is_attached() {
    let world = World::new().await;
    world
        .create_with("web", &["echo", "hi"], |request| {
            request.host.log_config.driver = "none".into();
        })
        .await
        .unwrap();
    let attachment = world.attach("web").await;
    world.start("web").await;
    assert_eq!(text(attachment.output).await, "hi\n");
    let options = LogOptions { stdout: true, ..LogOptions::default() };
    let error = world.engine.containers.logs("web", options).await.err().unwrap();
    assert_eq!(error.to_string(), "configured logging driver does not support reading");
}
