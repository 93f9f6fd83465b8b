//! Docker contexts follow the machines, and `use` chooses one.

use std::fs;

use crate::User;
use crate::fake::FakeDriver;

fn user() -> User {
    let user = User::new(FakeDriver::good());
    let docker = user.directory.path().join("docker");
    user.with("DOCKER_CONFIG", docker.to_str().unwrap())
}

/// What docker's store says, by the contexts' names.
fn contexts(user: &User) -> Vec<String> {
    let entries = fs::read_dir(user.directory.path().join("docker/contexts/meta"));
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .map(|entry| {
            let text = fs::read_to_string(entry.unwrap().path().join("meta.json")).unwrap();
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            json["Name"].as_str().unwrap().to_owned()
        })
        .collect();
    names.sort();
    names
}

fn config(user: &User) -> String {
    fs::read_to_string(user.directory.path().join("docker/config.json")).unwrap_or_default()
}

#[tokio::test]
async fn each_machine_has_a_context_as_long_as_it_is_there() {
    let user = user();
    user.types("machine create dev").await;
    assert_eq!(contexts(&user), ["dev"]);
    user.types("machine stop dev").await;
    user.types("machine clone dev copy").await;
    assert_eq!(contexts(&user), ["copy", "dev"]);
    user.types("machine rename copy other").await;
    assert_eq!(contexts(&user), ["dev", "other"]);
    user.types("machine rm -y dev other").await;
    assert_eq!(contexts(&user), [""; 0]);
    assert_eq!(config(&user), "", "docker's own choice was never touched");
}

#[tokio::test]
async fn use_makes_docker_use_a_machine_and_rm_undoes_it() {
    let user = user();
    user.types("machine create dev").await;
    insta::assert_snapshot!(user.types("machine use dev").await, @r#"
    1| docker uses machine "dev" now (context dev).
    exit 0
    "#);
    assert_eq!(config(&user), "{\n\t\"currentContext\": \"dev\"\n}");
    let user = user.with("DOCKER_HOST", "tcp://127.0.0.1:1");
    insta::assert_snapshot!(user.types("machine use dev").await, @r#"
    1| docker uses machine "dev" now (context dev).
    2| warning: DOCKER_HOST is set, and docker goes by that instead; unset it
    exit 0
    "#);
    user.types("machine rm -y dev").await;
    assert_eq!(config(&user), "{}");
    let user = user.with("DOCKER_HOST", "");
    insta::assert_snapshot!(user.types("machine use --unset").await, @r"
    1| docker used its own default already.
    exit 0
    ");
}

#[tokio::test]
async fn a_context_of_the_users_own_is_left_alone() {
    let user = user();
    user.types("machine create dev").await;
    let meta = user.directory.path().join("docker/contexts/meta");
    let entry = fs::read_dir(&meta).unwrap().next().unwrap().unwrap().path();
    user.types("machine rm -y dev").await;
    fs::create_dir(&entry).unwrap();
    fs::write(entry.join("meta.json"), r#"{"Name":"dev","Metadata":{},"Endpoints":{}}"#).unwrap();
    let created = user.types("machine create dev").await;
    assert!(created.contains("2| warning: there is a Docker context \"dev\" that is not this"));
    assert!(created.ends_with("exit 0"));
    insta::assert_snapshot!(user.types("machine use dev").await, @r#"
    2| warning: there is a Docker context "dev" that is not this program's; it was left alone (docker context rm dev)
    2| error: there is a Docker context "dev" that is not this program's
    2|   hint: if it is not needed, remove it first: docker context rm dev
    exit 1
    "#);
}
