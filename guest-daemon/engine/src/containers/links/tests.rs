//! Links, over fakes.

use super::*;
use crate::config::RestartPolicy;
use crate::containers::{CreateContainer, ListContainers};
use crate::testing::{World, within};

#[test]
fn links_are_read_as_they_are_asked_for_and_as_they_are_shown() {
    let link = |name: &str, alias: &str| Link { name: name.into(), alias: alias.into() };
    assert_eq!(parse("db").unwrap(), link("db", "db"));
    assert_eq!(parse("db:data").unwrap(), link("db", "data"));
    assert_eq!(parse("/db:/web/data").unwrap(), link("db", "data"));
    assert!(parse("").is_err() && parse("a:b:c").is_err());
}

#[tokio::test]
async fn a_linked_container_is_told_by_name_and_by_variables() {
    let world = World::new().await;
    let db = world.create_with("db", &["sleep", "100"], |request| {
        request.config.env = vec!["USER=me".into(), "HOME=/x".into()];
        request.config.exposed_ports = ["5432/tcp".to_owned()].into();
    });
    db.await.unwrap();
    let web = world.create_with("web", &["sleep", "100"], |request| {
        request.host.links = Some(vec!["db:my-data".into()]);
        request.config.env = vec!["MY_DATA_ENV_USER=mine".into()];
    });
    let web = web.await.unwrap();
    let host = world.engine.containers.inspect("web").unwrap().host;
    assert_eq!(host.links.unwrap(), ["/db:/web/my-data"]);
    let error = world.engine.containers.start("web", "").await.unwrap_err();
    assert_eq!(error.to_string(), "Cannot link to a non running container: /db AS /web/my-data");
    world.start("db").await;
    world.start("web").await;
    let spec = world.runtime.spec(&web).unwrap();
    for variable in ["MY_DATA_NAME=/web/my-data", "MY_DATA_PORT_5432_TCP_PORT=5432"] {
        assert!(spec.env.iter().any(|it| it == variable), "{variable}: {:?}", spec.env);
    }
    assert!(spec.env.contains(&"MY_DATA_ENV_USER=mine".to_owned()), "its own counts");
    assert!(!spec.env.iter().any(|entry| entry.contains("ENV_HOME")));
    let hosts = spec.mounts.iter().find(|mount| mount.destination == "/etc/hosts").unwrap();
    assert!(std::fs::read_to_string(&hosts.source).unwrap().contains("\tmy-data "));
}

#[tokio::test]
async fn a_link_can_be_taken_out_again() {
    let world = World::new().await;
    world.create("db", &["sleep"]).await;
    let create = world.create_with("web", &["sleep"], |request| {
        request.host.links = Some(vec!["db".into(), "db:data".into()]);
    });
    create.await.unwrap();
    let containers = &world.engine.containers;
    containers.remove_link("web/data").await.unwrap();
    assert_eq!(containers.inspect("web").unwrap().host.links.unwrap(), ["/db:/web/db"]);
    containers.remove_link("/web/db").await.unwrap();
    assert_eq!(containers.inspect("web").unwrap().host.links, None);
    for (reference, text) in [
        ("web/db", "No such container: web/db"),
        ("nosuch/db", "No such container: nosuch/db"),
        ("nosuch", "No such container: nosuch"),
        ("web", "Conflict, cannot remove the default link name of the container"),
    ] {
        let error = containers.remove_link(reference).await.unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    world.start("web").await;
}

#[tokio::test]
async fn a_link_to_nobody_is_refused() {
    let world = World::new().await;
    let create = world.create_with("web", &["true"], |request| {
        request.host.links = Some(vec!["nobody:x".into()]);
    });
    let error = create.await.unwrap_err();
    assert!(error.to_string().starts_with("could not get container for nobody"), "{error}");
}

/// `web` knows `db` as `data`; both run.
async fn linked() -> World {
    let world = World::new().await;
    world.create("db", &["sleep"]).await;
    let create = world.create_with("web", &["sleep"], |request| {
        request.config.hostname = "webhost".into();
        request.host.links = Some(vec!["db:data".into()]);
    });
    create.await.unwrap();
    world.start("db").await;
    world.start("web").await;
    world
}

fn hosts_of_web(world: &World) -> String {
    let path = world.engine.containers.inspect("web").unwrap().hosts_path;
    std::fs::read_to_string(path).unwrap()
}

fn link_names(world: &World) -> Vec<(String, Vec<String>)> {
    let all = ListContainers { all: true, ..ListContainers::default() };
    let listed = world.engine.containers.list(&all).unwrap();
    listed.into_iter().map(|it| (it.name.clone(), it.link_names)).collect()
}

#[tokio::test]
async fn a_link_is_a_name_of_the_other_container() {
    let world = linked().await;
    let containers = &world.engine.containers;
    let names = |data: &[&str]| data.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let expected = [("web".to_owned(), vec![]), ("db".to_owned(), names(&["web/data"]))];
    assert_eq!(link_names(&world), expected);
    assert_eq!(containers.inspect("/web/data").unwrap().name, "db");
    assert!(containers.inspect("web/db").is_err());
    let filters = [("name".to_owned(), vec!["web".to_owned()])].into();
    let listed = containers.list(&ListContainers { filters, ..Default::default() }).unwrap();
    assert_eq!(listed.len(), 2, "both have a name with `web` in it");
    containers.remove_link("web/data").await.unwrap();
    assert!(containers.inspect("web/data").is_err());
}

#[tokio::test]
async fn links_follow_the_names_of_both() {
    let world = linked().await;
    let containers = &world.engine.containers;
    containers.rename("db", "store").await.unwrap();
    containers.rename("web", "/front").await.unwrap();
    let host = containers.inspect("front").unwrap().host;
    assert_eq!(host.links.unwrap(), ["/store:/front/data"]);
    assert_eq!(containers.inspect("front/data").unwrap().name, "store");
}

#[tokio::test]
async fn a_running_container_forgets_a_link_that_is_taken_out() {
    let world = linked().await;
    assert!(hosts_of_web(&world).contains("172.17.0.2\tdata "));
    world.engine.containers.remove_link("web/data").await.unwrap();
    let hosts = hosts_of_web(&world);
    assert!(!hosts.contains("data") && hosts.ends_with("172.17.0.3\twebhost\n"), "{hosts}");
}

#[tokio::test]
async fn a_running_container_learns_the_new_address_of_the_other() {
    let world = linked().await;
    world.engine.containers.kill("db", "KILL").await.unwrap();
    world.create("other", &["sleep"]).await;
    world.start("other").await;
    world.start("db").await;
    let hosts = hosts_of_web(&world);
    assert!(hosts.contains("\n172.17.0.4\tdata "), "{hosts}");
    assert!(hosts.contains("\n172.17.0.3\twebhost\n"), "the rest stays: {hosts}");
}

#[tokio::test]
async fn a_link_to_one_that_is_in_anothers_network_is_a_link_to_that_one() {
    let world = World::new().await;
    world.create("db", &["sleep"]).await;
    let create = world.create_with("guest", &["sleep"], |request| {
        request.host.network_mode = "container:db".into();
    });
    create.await.unwrap();
    let create = world.create_with("web", &["sleep"], |request| {
        request.host.links = Some(vec!["guest:data".into()]);
    });
    create.await.unwrap();
    let host = world.engine.containers.inspect("web").unwrap().host;
    assert_eq!(host.links.unwrap(), ["/db:/web/data"]);
}

#[tokio::test]
async fn after_a_loss_of_power_a_linked_container_starts_after_the_other() {
    let mut world = World::new().await;
    let always = |request: &mut CreateContainer| {
        request.host.restart_policy =
            RestartPolicy { name: "always".into(), maximum_retry_count: 0 };
    };
    world.create_with("db", &["sleep"], always).await.unwrap();
    // Whichever of them is told first to start.
    let names = ["web1", "web2", "web3", "web4"];
    for name in names {
        let create = world.create_with(name, &["sleep"], |request| {
            always(request);
            request.host.links = Some(vec!["db".into()]);
        });
        create.await.unwrap();
    }
    for name in std::iter::once("db").chain(names) {
        world.start(name).await;
    }
    world.engine.abandon().await;
    world.runtime.power_off();
    world.restart_daemon().await;
    for name in names {
        let mut snapshot =
            world.engine.containers.core.registry.find(name).unwrap().snapshot.clone();
        let settled =
            snapshot.wait_for(|now| now.is_running() || !now.container.state.error.is_empty());
        let settled = within(settled).await.unwrap().clone();
        assert_eq!(settled.container.state.error, "", "{name}");
    }
}
