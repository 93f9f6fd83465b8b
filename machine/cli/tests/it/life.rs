//! `start`, `stop`, `kill`, `rm`, `ls`, `status`: states in words and codes.

use crate::User;
use crate::fake::FakeDriver;

#[tokio::test]
async fn a_life_from_stop_to_removal() {
    let user = User::new(FakeDriver::good());
    user.types("machine create dev").await;
    insta::assert_snapshot!(user.types("machine start dev").await, @r#"
    2| Starting "dev"...
    2| error: Machine "dev" is already running.
    exit 5
    "#);
    insta::assert_snapshot!(user.types("machine stop dev").await, @r#"
    1| Machine "dev" was stopped.
    2| Stopping "dev"...
    exit 0
    "#);
    insta::assert_snapshot!(user.types("machine kill dev").await, @r#"
    2| Killing "dev"...
    2| error: Machine "dev" is already stopped.
    exit 5
    "#);
    insta::assert_snapshot!(user.types("machine start dev").await, @r#"
    1| Machine "dev" was started.
    2| Starting "dev"...
    2| (dev) booting the guest
    2| Started machines may have new IP addresses. You may need to re-run the `machine env` command.
    exit 0
    "#);
    insta::assert_snapshot!(user.types("machine status dev").await, @r"
    1| Running
    exit 0
    ");
    insta::assert_snapshot!(user.types("machine rm dev").await, @r"
    2| About to remove dev
    2| WARNING: This action will delete both local reference and remote instance.
    2| Are you sure? (y/n): error: nothing was removed
    2|   hint: answer y, or give -y not to be asked
    exit 1
    ");
    insta::assert_snapshot!(user.types("machine rm -y dev").await, @r"
    1| Successfully removed dev
    exit 0
    ");
    assert_eq!(user.left(), 0);
}

#[tokio::test]
async fn machines_that_do_not_exist() {
    let user = User::new(FakeDriver::good());
    insta::assert_snapshot!(user.types("machine start nope").await, @r#"
    2| error: Docker machine "nope" does not exist
    2|   hint: `machine ls` lists the machines, `machine create nope` makes this one
    exit 4
    "#);
    insta::assert_snapshot!(user.types("machine status").await, @r#"
    2| error: No machine name(s) specified and no "default" machine exists
    2|   hint: `machine ls` lists the machines, `machine create default` makes that one
    exit 2
    "#);
    insta::assert_snapshot!(user.types("machine rm -f nope").await, @r#"
    2| warning: Docker machine "nope" does not exist
    exit 0
    "#);
    assert!(user.types("machine stop ../../etc").await.ends_with("exit 4"));
}

#[tokio::test]
async fn one_unknown_name_and_nothing_is_done_to_the_others() {
    let user = User::new(FakeDriver::good());
    user.types("machine create dev").await;
    assert!(user.types("machine stop dev nope").await.ends_with("exit 4"));
    assert!(user.types("machine status dev").await.starts_with("1| Running"));
}

#[tokio::test]
async fn the_default_machine_is_meant_when_no_name_is_given() {
    let user = User::new(FakeDriver::good());
    user.types("machine create default").await;
    assert!(user.types("machine status").await.starts_with("1| Running"));
    assert!(user.types("machine stop").await.ends_with("exit 0"));
}

#[tokio::test]
async fn lists_are_tables_names_or_json() {
    let user = User::new(FakeDriver::good());
    insta::assert_snapshot!(user.types("machine ls").await, @r"
    1| NAME   ACTIVE   DRIVER   STATE   URL   SWARM   DOCKER   ERRORS
    exit 0
    ");
    for name in ["dev10", "dev2"] {
        user.types(&format!("machine create {name}")).await;
        user.types(&format!("machine stop {name}")).await;
    }
    insta::assert_snapshot!(user.types("machine ls").await, @r"
    1| NAME    ACTIVE   DRIVER   STATE     URL   SWARM   DOCKER    ERRORS
    1| dev2    -        qemu     Stopped                 Unknown
    1| dev10   -        qemu     Stopped                 Unknown
    exit 0
    ");
    insta::assert_snapshot!(user.types("machine ls -q").await, @r"
    1| dev2
    1| dev10
    exit 0
    ");
    user.types("machine rm -f dev10").await;
    insta::assert_snapshot!(user.types("machine ls -o json").await, @r#"
    1| [
    1|   {
    1|     "Active": false,
    1|     "DockerVersion": "",
    1|     "DriverName": "qemu",
    1|     "Error": "",
    1|     "Name": "dev2",
    1|     "State": "Stopped",
    1|     "Swarm": "",
    1|     "URL": ""
    1|   }
    1| ]
    exit 0
    "#);
}

#[tokio::test]
async fn a_running_machine_whose_engine_does_not_answer_is_listed_with_the_reason() {
    let user = User::new(FakeDriver::good());
    user.types("machine create dev").await;
    insta::assert_snapshot!(user.types("machine ls").await, @r"
    1| NAME   ACTIVE   DRIVER   STATE     URL                     SWARM   DOCKER    ERRORS
    1| dev    -        qemu     Running   tcp://127.0.0.1:PORT           Unknown   Unable to query docker version: Cannot connect to the docker engine endpoint
    exit 0
    ");
}

#[tokio::test]
async fn force_removes_what_cannot_be_ended() {
    let user = User::new(FakeDriver::good());
    user.types("machine create dev").await;
    let user = user.again(FakeDriver::failing("kill"));
    insta::assert_snapshot!(user.types("machine rm -y dev").await, @r#"
    2| error: machine "dev" could not be removed
    2|   because: kill fails
    exit 1
    "#);
    insta::assert_snapshot!(user.types("machine rm -f dev").await, @r#"
    1| Successfully removed dev
    2| warning: (dev) machine "dev" could not be ended: kill fails
    exit 0
    "#);
}

#[tokio::test]
async fn the_console_is_printed() {
    let user = User::new(FakeDriver::good());
    user.types("machine create dev").await;
    assert_eq!(user.types("machine logs dev").await, "exit 0");
    let path = user.directory.path().join("store/machines/dev/console.log");
    std::fs::write(path, "Linux version 6.12\nready\n").unwrap();
    insta::assert_snapshot!(user.types("machine logs dev").await, @r"
    1| Linux version 6.12
    1| ready
    exit 0
    ");
    user.types("machine stop dev").await;
    assert!(user.types("machine logs -f dev").await.ends_with("1| ready\nexit 0"));
}

#[tokio::test]
async fn help_and_versions_are_results_and_mistakes_are_not() {
    let user = User::new(FakeDriver::good());
    let help = user.types("machine").await;
    assert!(help.contains("1| Usage: machine") && help.ends_with("exit 0"), "{help}");
    let help = user.types("docker-machine create --help").await;
    assert!(help.contains("1| Usage: docker-machine create"), "{help}");
    assert!(user.types("docker-machine version").await.starts_with("1| docker-machine version 0."));
    let mistake = user.types("machine ls --nosuch").await;
    assert!(mistake.starts_with("2| error: ") && mistake.ends_with("exit 2"), "{mistake}");
    let mistake = user.types("machine frobnicate").await;
    assert!(mistake.starts_with("2| error: ") && mistake.ends_with("exit 2"), "{mistake}");
}
