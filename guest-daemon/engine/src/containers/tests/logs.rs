//! Log drivers, as whoever reads the logs sees them.

use futures::StreamExt;

use crate::config::LogConfig;
use crate::containers::{LogOptions, WaitCondition};
use crate::testing::{World, text, within};

/// A container that runs, with this log.
async fn started(world: &World, driver: &str, options: &[(&str, &str)]) -> String {
    let id = created(world, driver, options).await;
    world.start(&id).await;
    id
}

async fn created(world: &World, driver: &str, options: &[(&str, &str)]) -> String {
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let log_config = LogConfig { driver: driver.to_owned(), options: options.collect() };
    let made = world.create_with("web", &["sleep"], |request| {
        request.config.env = vec!["OS=a b".to_owned()];
        request.config.labels.insert("role".to_owned(), "front&back".to_owned());
        request.host.log_config = log_config;
    });
    made.await.unwrap()
}

async fn ended(world: &World, id: &str) {
    world.runtime.exit(id, 0);
    assert_eq!(world.wait(id, WaitCondition::NotRunning).await, 0);
}

async fn read(world: &World, options: LogOptions) -> String {
    let (_, stream) = world.engine.containers.logs("web", options).await.unwrap();
    text(stream).await
}

fn both() -> LogOptions {
    LogOptions { stdout: true, stderr: true, ..LogOptions::default() }
}

#[tokio::test]
async fn details_are_the_labels_variables_and_the_tag_that_were_asked_for() {
    for driver in ["json-file", "local"] {
        let world = World::new().await;
        let options = [("labels", "role"), ("env-regex", "^O"), ("tag", "{{.Name}}")];
        let id = started(&world, driver, &options).await;
        world.runtime.print(&id, b"hi\n");
        ended(&world, &id).await;
        let seen = read(&world, LogOptions { details: true, ..both() }).await;
        assert_eq!(seen, "OS=a+b,role=front%26back,tag=web hi\n", "{driver}");
    }
}

#[tokio::test]
async fn long_lines_and_bytes_that_are_no_text_come_back_as_they_were() {
    let world = World::new().await;
    let id = started(&world, "local", &[]).await;
    let long = "x".repeat(40_000);
    world.runtime.print(&id, long.as_bytes());
    world.runtime.print(&id, b"\nlast");
    ended(&world, &id).await;
    assert_eq!(world.logs("web").await, format!("{long}\nlast"));
    assert_eq!(world.engine.containers.inspect("web").unwrap().log_path, "");
}

#[tokio::test]
async fn compressed_files_are_read_and_followed_like_others() {
    for driver in ["json-file", "local"] {
        let world = World::new().await;
        let options = [("max-size", "300"), ("max-file", "200"), ("compress", "true")];
        let id = started(&world, driver, &options).await;
        let (_, mut stream) = world
            .engine
            .containers
            .logs("web", LogOptions { follow: true, ..both() })
            .await
            .unwrap();
        let mut expected = Vec::new();
        for number in 0..60 {
            let line = format!("line number {number}\n");
            world.runtime.print(&id, line.as_bytes());
            assert_eq!(within(stream.next()).await.unwrap().unwrap().data, line);
            expected.push(line);
        }
        ended(&world, &id).await;
        assert_eq!(text(stream).await, "");
        assert_eq!(world.logs("web").await, expected.concat());
        let tail = read(&world, LogOptions { tail: Some(33), ..both() }).await;
        assert_eq!(tail, expected[27..].concat());
    }
}

#[tokio::test]
async fn without_follow_the_log_ends_where_it_ended_when_it_was_asked_for() {
    let world = World::new().await;
    let id = started(&world, "json-file", &[]).await;
    let (_, mut follower) =
        world.engine.containers.logs("web", LogOptions { follow: true, ..both() }).await.unwrap();
    world.runtime.print(&id, b"before\n");
    within(follower.next()).await.unwrap().unwrap();
    let (_, stream) = world.engine.containers.logs("web", both()).await.unwrap();
    world.runtime.print(&id, b"after\n");
    within(follower.next()).await.unwrap().unwrap();
    assert_eq!(text(stream).await, "before\n");
}

#[tokio::test]
async fn values_that_mean_nothing_are_told_at_the_start() {
    let world = World::new().await;
    created(&world, "json-file", &[("max-size", "big")]).await;
    let error = world.engine.containers.start("web", "").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to create task for container: failed to initialize logging driver: invalid size: \
         'big'"
    );
    assert!(world.runtime.existing().is_empty());
    let refused = world.create_with("other", &["sleep"], |request| {
        request.host.log_config.options.insert("x".to_owned(), "y".to_owned());
    });
    let error = refused.await.unwrap_err();
    assert_eq!(error.to_string(), "unknown log opt 'x' for json-file log driver");
}

#[tokio::test]
async fn output_goes_to_the_syslog_daemon_and_is_readable_here() {
    let world = World::new().await;
    let options = [("syslog-address", "udp://10.0.2.2"), ("tag", "{{.Name}}")];
    let id = started(&world, "syslog", &options).await;
    world.runtime.print(&id, b"one\n\ntw");
    world.runtime.print(&id, b"o\nthree");
    ended(&world, &id).await;
    let received = world.syslog.received();
    let texts: Vec<_> = received.iter().map(|line| line.split("]: ").nth(1).unwrap()).collect();
    assert_eq!(texts, ["one\n", "two\n", "three\n"]);
    assert!(received[0].starts_with("<30>") && received[0].contains(" web["), "{received:?}");
    assert_eq!(world.logs("web").await, "one\n\ntwo\nthree");
}

#[tokio::test]
async fn without_a_cache_there_is_nothing_to_read_here() {
    let world = World::new().await;
    let id = started(&world, "syslog", &[("cache-disabled", "true")]).await;
    world.runtime.print(&id, b"one\n");
    ended(&world, &id).await;
    assert_eq!(world.syslog.received().len(), 1);
    let error = world.engine.containers.logs("web", both()).await.err().unwrap();
    assert_eq!(error.to_string(), "configured logging driver does not support reading");
}

#[tokio::test]
async fn a_container_does_not_start_when_nobody_answers_but_goes_on_when_they_leave() {
    let world = World::new().await;
    world.syslog.set_away(true);
    let id = created(&world, "syslog", &[]).await;
    let error = world.engine.containers.start("web", "").await.unwrap_err().to_string();
    let reason = "failed to initialize logging driver: dial udp 10.0.2.2:514: connect: connection \
                  refused";
    assert!(error.ends_with(reason), "{error}");
    world.syslog.set_away(false);
    world.start("web").await;
    world.syslog.set_away(true);
    world.runtime.print(&id, b"unheard\n");
    ended(&world, &id).await;
    assert_eq!(world.logs("web").await, "unheard\n");
}

#[tokio::test]
async fn one_who_takes_nothing_does_not_hold_a_container_up_that_may_lose_output() {
    let world = World::new().await;
    let options = [("mode", "non-blocking"), ("max-buffer-size", "4k")];
    let id = started(&world, "syslog", &options).await;
    world.syslog.set_stalled(true);
    let (_, stream) =
        world.engine.containers.logs("web", LogOptions { follow: true, ..both() }).await.unwrap();
    let line = format!("{}\n", "x".repeat(99));
    for _ in 0..2000 {
        world.runtime.print(&id, line.as_bytes());
    }
    world.runtime.print(&id, b"end\n");
    // All of it was taken from the container although nothing was sent.
    let mut rest = stream.skip(2000);
    let last = rest.next();
    assert_eq!(within(last).await.unwrap().unwrap().data, "end\n");
    world.syslog.set_stalled(false);
    ended(&world, &id).await;
    let received = world.syslog.received().len();
    assert!((1..2000).contains(&received), "{received}");
}

#[tokio::test]
async fn a_new_daemon_goes_on_sending_with_the_line_that_was_begun() {
    let mut world = World::new().await;
    let id = started(&world, "syslog", &[]).await;
    let (_, mut stream) =
        world.engine.containers.logs("web", LogOptions { follow: true, ..both() }).await.unwrap();
    world.runtime.print(&id, b"one\nhalf ");
    within(stream.next()).await.unwrap().unwrap();
    drop(stream);
    world.restart_daemon().await;
    world.runtime.print(&id, b"line\n");
    ended(&world, &id).await;
    let last = world.syslog.received().pop().unwrap();
    assert!(last.ends_with(": half line\n"), "{last}");
}
