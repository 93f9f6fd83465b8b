//! What lists, prunes and looks at containers.

use std::collections::BTreeMap;

use crate::Kind;
use crate::config::PortBinding;
use crate::containers::{Commit, ListContainers, WaitCondition};
use crate::testing::World;

fn filters(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
    let mut filters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in pairs {
        filters.entry((*key).to_owned()).or_default().push((*value).to_owned());
    }
    filters
}

fn names(world: &World, pairs: &[(&str, &str)]) -> Vec<String> {
    let request = ListContainers { all: true, filters: filters(pairs), ..Default::default() };
    let found = world.engine.containers.list(&request).unwrap();
    found.iter().map(|container| container.name.clone()).collect()
}

async fn world() -> World {
    let world = World::new().await;
    let create = world.create_with("web", &["sleep"], |request| {
        request.config.labels = [("tier".to_owned(), "front".to_owned())].into();
        let binding = PortBinding { host_port: "8080".into(), ..PortBinding::default() };
        request.host.port_bindings = Some([("80/tcp".to_owned(), Some(vec![binding]))].into());
    });
    create.await.unwrap();
    world.start("web").await;
    world.create("ended", &["sh", "-c", "exit 3"]).await;
    world.start("ended").await;
    world.wait("ended", WaitCondition::NotRunning).await;
    world.create("made", &["sleep"]).await;
    world
}

#[tokio::test]
async fn filters_find_containers_as_dockerd_does() {
    let world = world().await;
    let id = world.engine.containers.inspect("ended").unwrap().id;
    for (pairs, expected) in [
        (&[][..], &["made", "ended", "web"][..]),
        (&[("name", "^(web|made)$")], &["made", "web"]),
        (&[("id", &id[..12])], &["ended"]),
        (&[("status", "running"), ("status", "created")], &["made", "web"]),
        (&[("exited", "3")], &["ended"]),
        (&[("exited", "0")], &[]),
        (&[("label", "tier=front")], &["web"]),
        (&[("publish", "8000-8100")], &["web"]),
        (&[("publish", "80")], &[]),
        (&[("expose", "80/tcp")], &["web"]),
        (&[("health", "none"), ("ancestor", "busybox")], &["made", "ended", "web"]),
        (&[("ancestor", "nosuch")], &[]),
        (&[("id", "")], &[]),
        (&[("since", "web"), ("before", "made")], &["ended"]),
        (&[("network", "bridge")], &["made", "ended", "web"]),
        (&[("is-task", "true")], &[]),
    ] {
        assert_eq!(names(&world, pairs), expected, "{pairs:?}");
    }
    let only_running = world.engine.containers.list(&ListContainers::default()).unwrap();
    assert_eq!(only_running.len(), 1);
    let last = ListContainers { limit: Some(1), ..Default::default() };
    assert_eq!(world.engine.containers.list(&last).unwrap()[0].name, "made");
}

#[tokio::test]
async fn a_container_whose_image_lost_its_name_shows_the_id() {
    let world = world().await;
    world.import("busybox", &["CMD [\"cat\"]"]).await;
    let listed = &world.engine.containers.list(&ListContainers::default()).unwrap()[0];
    assert_eq!(listed.image, listed.image_id);
}

#[tokio::test]
async fn prune_removes_what_does_not_run_and_was_not_spared() {
    let world = world().await;
    let prune = |pairs: &[(&str, &str)]| {
        let filters = filters(pairs);
        let containers = world.engine.containers.clone();
        async move { containers.prune(&filters).await }
    };
    assert_eq!(prune(&[("until", "1h")]).await.unwrap().0.len(), 0);
    assert_eq!(prune(&[("label", "tier")]).await.unwrap().0.len(), 0);
    let bad = prune(&[("colour", "red")]).await.unwrap_err();
    assert_eq!(bad.to_string(), "invalid filter 'colour'");
    let unclear = prune(&[("until", "soon")]).await.unwrap_err();
    assert_eq!(unclear.kind(), Kind::InvalidArgument);
    let (removed, _) = prune(&[("label!", "tier")]).await.unwrap();
    assert_eq!(removed.len(), 2);
    assert_eq!(names(&world, &[]), ["web"]);
    assert_eq!(world.events().await.last().unwrap(), "container prune");
}

#[tokio::test]
async fn top_shows_the_columns_that_were_asked_for() {
    let world = world().await;
    let top = world.engine.containers.top("web", "-o pid,cmd").await.unwrap();
    assert_eq!(top.titles, ["PID", "CMD"]);
    assert_eq!(top.processes[0][1], "sleep");
    let top = world.engine.containers.top("web", "-m -o pid,lwp,s,comm").await.unwrap();
    let pid = world.engine.containers.inspect("web").unwrap().state.pid.to_string();
    assert_eq!(top.processes, [[pid.as_str(), "-", "-", "sleep"], ["-", &pid, "S", "-"]]);
    let top = world.engine.containers.top("web", "e -m -o pid,comm").await.unwrap();
    assert!(top.processes[0][1].starts_with("sleep PATH="), "{:?}", top.processes);
    assert_eq!(top.processes[1][1], "-");
    let top = world.engine.containers.top("web", "sm").await.unwrap();
    let none = "0".repeat(16);
    assert_eq!(top.processes[0][1..6], [pid.as_str(), &none, "-", "-", "-"]);
    assert_eq!(top.processes[1][1..6], ["-", &none, &none, &none, &none]);
    let top = world.engine.containers.top("web", "-C other -o pid").await.unwrap();
    assert_eq!(top.processes, [[""; 0]; 0]);
    let refused = world.engine.containers.top("made", "").await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict);
}

#[tokio::test]
async fn containers_of_images_made_from_an_image_are_its_descendants() {
    let world = world().await;
    for (container, repository) in [("web", "child"), ("of-child", "grandchild")] {
        let request = Commit { repository: repository.into(), ..Commit::default() };
        world.engine.containers.commit(container, request).await.unwrap();
        let name = format!("of-{repository}");
        let create = world.create_with(&name, &["sleep"], |request| {
            request.config.image = repository.into();
        });
        create.await.unwrap();
    }
    assert_eq!(names(&world, &[("ancestor", "child")]), ["of-grandchild", "of-child"]);
    let all = ["of-grandchild", "of-child", "made", "ended", "web"];
    assert_eq!(names(&world, &[("ancestor", "busybox")]), all);
}

#[tokio::test]
async fn a_volume_driver_counts_where_a_volume_is_made() {
    let world = World::new().await;
    let with = async |name: &str, binds: &[&str], volumes: &[&str]| {
        let create = world.create_with(name, &["true"], |request| {
            request.host.volume_driver = "odd".into();
            request.host.binds = Some(binds.iter().map(|bind| (*bind).to_owned()).collect());
            request.config.volumes = volumes.iter().map(|path| (*path).to_owned()).collect();
        });
        create.await
    };
    with("none", &["/tmp:/x"], &[]).await.unwrap();
    let error = with("named", &["data:/x"], &[]).await.unwrap_err();
    let why = "error looking up volume plugin odd: plugin \"odd\" not found";
    assert_eq!(error.to_string(), format!("create data: {why}"));
    assert_eq!(error.kind(), Kind::NotFound);
    let error = with("unnamed", &[], &["/x"]).await.unwrap_err();
    assert!(error.to_string().ends_with(why), "{error}");
}
