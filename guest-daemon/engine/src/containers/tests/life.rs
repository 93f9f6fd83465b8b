//! From create to remove.

use crate::config::{PortBinding, RestartPolicy, Ulimit};
use crate::containers::{Status, WaitCondition};
use crate::settings::{ContainerDefaults, Settings};
use crate::testing::{World, text, within};
use crate::{Kind, Outcome};

#[tokio::test]
async fn docker_run_rm_sees_output_exit_code_and_events_in_order() {
    let world = World::new().await;
    let id = world
        .create_with("web", &["sh", "-c", "echo hi; exit 42"], |request| {
            request.host.auto_remove = true;
        })
        .await
        .unwrap();
    let attachment = world.attach(&id).await;
    let removed = world.engine.containers.wait(&id, WaitCondition::Removed).unwrap();
    world.start(&id).await;
    assert_eq!(text(attachment.output).await, "hi\n");
    assert_eq!(within(removed).await.unwrap().code, 42);
    assert_eq!(world.engine.containers.inspect(&id).unwrap_err().kind(), Kind::NotFound);
    let events = world.events().await;
    assert_eq!(
        events[2..],
        [
            "container create",
            "container attach",
            "network connect",
            "container start",
            "network disconnect",
            "container die",
            "container destroy",
        ]
    );
    assert!(world.runtime.existing().is_empty());
    assert!(world.network.attached().is_empty());
    assert!(!world.root().join("containers").join(&id).exists());
}

#[tokio::test]
async fn starting_twice_is_already_done_and_stopping_twice_too() {
    let world = World::new().await;
    world.create("web", &["sleep", "1"]).await;
    let containers = &world.engine.containers;
    assert_eq!(containers.start("web", "").await.unwrap(), Outcome::Done);
    assert_eq!(containers.start("/web", "").await.unwrap(), Outcome::AlreadyDone);
    assert_eq!(containers.stop("web", None, None).await.unwrap(), Outcome::Done);
    assert_eq!(containers.stop("web", None, None).await.unwrap(), Outcome::AlreadyDone);
    let state = containers.inspect("web").unwrap().state;
    assert_eq!((state.status, state.exit_code, state.pid), (Status::Exited, 143, 0));
    assert!(state.finished_at.is_some());
}

#[tokio::test]
async fn a_name_in_use_is_a_conflict_in_dockers_words() {
    let world = World::new().await;
    let id = world.create("web", &[]).await;
    let error = world.create_with("web", &[], |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(
        error.to_string(),
        format!(
            "Conflict. The container name \"/web\" is already in use by container \"{id}\". You \
             have to remove (or rename) that container to be able to reuse that name."
        )
    );
}

#[tokio::test]
async fn containers_are_found_by_id_name_and_unique_prefix() {
    let world = World::new().await;
    let id = world.create("web", &[]).await;
    let containers = &world.engine.containers;
    for reference in [id.as_str(), &id[..12], "web", "/web"] {
        assert_eq!(containers.inspect(reference).unwrap().id, id);
    }
    // A name wins over a prefix of an id.
    let second = world.create(&id[..4], &[]).await;
    assert_eq!(containers.inspect(&id[..4]).unwrap().id, second);
    let missing = containers.inspect("nope").unwrap_err();
    assert_eq!(missing.to_string(), "No such container: nope");
    assert_eq!(missing.kind(), Kind::NotFound);
    let many: Vec<String> = {
        let mut ids = vec![id.clone(), second];
        for _ in 0..16 {
            ids.push(world.create("", &[]).await);
        }
        ids
    };
    let ambiguous = (0..16)
        .map(|digit| format!("{digit:x}"))
        .find(|digit| many.iter().filter(|id| id.starts_with(digit)).count() > 1)
        .unwrap();
    let error = containers.inspect(&ambiguous).unwrap_err();
    assert_eq!(error.to_string(), format!("multiple IDs found with provided prefix: {ambiguous}"));
}

#[tokio::test]
async fn an_unknown_image_is_named_with_its_tag() {
    let world = World::new().await;
    let error = world
        .create_with("web", &[], |request| request.config.image = "nope".into())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "No such image: nope:latest");
    assert_eq!(error.kind(), Kind::NotFound);
    // Nothing is left of it, not even the name.
    world.create("web", &[]).await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_127_and_everything_is_undone() {
    let world = World::new().await;
    world.create("web", &["nosuch"]).await;
    let error = world.engine.containers.start("web", "").await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert!(error.to_string().contains("OCI runtime create failed"), "{error}");
    assert!(
        error.to_string().contains("\"nosuch\": executable file not found in $PATH"),
        "{error}"
    );
    let state = world.engine.containers.inspect("web").unwrap().state;
    assert_eq!((state.status, state.exit_code), (Status::Created, 127));
    assert!(!state.error.is_empty());
    assert!(world.network.attached().is_empty());
    world.create("locked", &["/etc/passwd"]).await;
    world.engine.containers.start("locked", "").await.unwrap_err();
    let state = world.engine.containers.inspect("locked").unwrap().state;
    assert_eq!(state.exit_code, 126);
}

#[tokio::test]
async fn a_failed_start_takes_an_automatic_container_away() {
    let world = World::new().await;
    let id = world
        .create_with("web", &["nosuch"], |request| request.host.auto_remove = true)
        .await
        .unwrap();
    let removed = world.engine.containers.wait(&id, WaitCondition::Removed).unwrap();
    world.engine.containers.start(&id, "").await.unwrap_err();
    assert_eq!(within(removed).await.unwrap().code, 127);
}

#[tokio::test]
async fn a_taken_port_fails_the_start_with_dockers_text_and_frees_the_rest() {
    let world = World::new().await;
    for name in ["one", "two"] {
        world
            .create_with(name, &["sleep"], |request| {
                let binding = PortBinding { host_port: "8080".into(), ..Default::default() };
                request.host.port_bindings =
                    Some([("80/tcp".to_owned(), Some(vec![binding]))].into());
            })
            .await
            .unwrap();
    }
    world.start("one").await;
    let published = world.engine.containers.inspect("one").unwrap().published;
    assert_eq!((published[0].host_port, published[0].container_port), (8080, 80));
    let error = world.engine.containers.start("two", "").await.unwrap_err().to_string();
    assert!(error.ends_with("Bind for 0.0.0.0:8080 failed: port is already allocated"), "{error}");
    assert_eq!(world.network.attached().len(), 1);
    assert_eq!(world.runtime.existing().len(), 1);
}

#[tokio::test]
async fn a_restart_policy_brings_a_failed_container_back_until_it_is_stopped() {
    let world = World::new().await;
    let id = world
        .create_with("web", &["sleep"], |request| {
            request.host.restart_policy =
                RestartPolicy { name: "on-failure".into(), maximum_retry_count: 1 };
        })
        .await
        .unwrap();
    world.start("web").await;
    let first = world.engine.containers.wait(&id, WaitCondition::NextExit).unwrap();
    world.runtime.exit(&id, 3);
    assert_eq!(within(first).await.unwrap().code, 3);
    let handle = world.engine.containers.core.registry.find(&id).unwrap();
    let mut snapshot = handle.snapshot;
    within(snapshot.wait_for(|now| now.container.restart_count == 1 && now.is_running()))
        .await
        .unwrap();
    world.runtime.exit(&id, 4);
    assert_eq!(world.wait(&id, WaitCondition::NotRunning).await, 4);
    let container = world.engine.containers.inspect(&id).unwrap();
    assert_eq!((container.state.status, container.restart_count), (Status::Exited, 1));
}

#[tokio::test]
async fn an_anonymous_volume_is_filled_and_goes_with_its_container() {
    let world = World::new().await;
    world.import("db", &["CMD [\"sleep\"]", "VOLUME /data"]).await;
    world.create_with("db1", &[], |request| request.config.image = "db".into()).await.unwrap();
    let container = world.engine.containers.inspect("db1").unwrap();
    let mount = &container.mounts[0];
    assert_eq!((mount.kind.as_str(), mount.destination.as_str()), ("volume", "/data"));
    let file = std::path::Path::new(&mount.source).join("file");
    assert_eq!(std::fs::read(file).unwrap(), b"hello");
    let in_use = world.engine.volumes.remove(&mount.name, false).await.unwrap_err();
    assert_eq!(in_use.kind(), Kind::Conflict);
    world.engine.containers.remove("db1", false, true).await.unwrap();
    assert!(world.engine.volumes.inspect(&mount.name).is_err());
}

#[tokio::test]
async fn a_rename_frees_the_old_name() {
    let world = World::new().await;
    let id = world.create("old", &[]).await;
    world.create("other", &[]).await;
    world.engine.containers.rename("old", "new").await.unwrap();
    assert_eq!(world.engine.containers.inspect("new").unwrap().id, id);
    assert!(world.engine.containers.inspect("old").is_err());
    let taken = world.engine.containers.rename("new", "other").await.unwrap_err();
    assert_eq!(taken.kind(), Kind::Conflict);
    world.create("old", &[]).await;
}

#[tokio::test]
async fn two_containers_share_a_network_namespace() {
    let world = World::new().await;
    let first = world.create("first", &["sleep"]).await;
    world
        .create_with("second", &["sleep"], |request| {
            request.host.network_mode = "container:first".into();
        })
        .await
        .unwrap();
    let early = world.engine.containers.start("second", "").await.unwrap_err();
    assert_eq!(early.kind(), Kind::Conflict);
    world.start("first").await;
    world.start("second").await;
    let second = world.engine.containers.inspect("second").unwrap();
    assert_eq!(second.host.network_mode, format!("container:{first}"));
    let namespace = world.runtime.spec(&second.id).unwrap().network_namespace;
    assert_eq!(namespace, world.runtime.spec(&first).unwrap().network_namespace);
}

#[tokio::test]
async fn a_container_gets_what_the_engine_was_told_to_give_it() {
    let containers = ContainerDefaults {
        ulimits: vec![Ulimit { name: "nofile".into(), soft: 5, hard: 6 }],
        publish_address: "0.0.0.0".into(),
        dns: vec!["9.9.9.9".into()],
        host_gateway: Some([10, 0, 2, 2].into()),
        ..ContainerDefaults::default()
    };
    let world = World::with_settings(Settings { containers, ..Settings::default() }).await;
    let id = world
        .create_with("web", &["sleep", "1"], |request| {
            let binding = PortBinding { host_port: "80".into(), ..PortBinding::default() };
            request.host.port_bindings = Some([("80/tcp".to_owned(), Some(vec![binding]))].into());
            request.host.extra_hosts = Some(vec!["laptop:host-gateway".into()]);
        })
        .await
        .unwrap();
    world.start("web").await;
    let container = world.engine.containers.inspect("web").unwrap();
    assert_eq!(container.host.ulimits.unwrap()[0].soft, 5);
    assert_eq!(container.published[0].host_ip, "0.0.0.0");
    let file = |name| {
        std::fs::read_to_string(world.root().join("containers").join(&id).join(name)).unwrap()
    };
    assert!(file("resolv.conf").contains("nameserver 9.9.9.9\n"));
    assert!(file("hosts").contains("10.0.2.2\tlaptop\n"));
}
