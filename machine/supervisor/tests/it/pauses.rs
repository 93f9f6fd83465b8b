//! What is ordered of a machine that goes on afterwards: pauses, a larger disk, another identity.

use boot::TlsIdentity;
use machine_lifecycle::driver::{Driver, DriverError, Observed, Stop};

use crate::harness::{Host, Running, Told};

fn identity(private_key: &str) -> TlsIdentity {
    TlsIdentity {
        ca_certificate: "ca".to_owned(),
        certificate: "certificate".to_owned(),
        private_key: private_key.to_owned(),
    }
}

#[tokio::test]
async fn a_paused_machine_goes_on_with_the_right_time() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    machine.until_heard("guest-set-time").await;
    let Running { driver, vm } = &machine;
    driver.pause(&vm.machine).await.unwrap();
    assert_eq!(machine.observe().await, Observed::Paused);
    let before = machine.heard("guest-set-time").len();
    driver.unpause(&vm.machine).await.unwrap();
    assert_eq!(machine.observe().await, Observed::Running);
    machine.until_heard_times("guest-set-time", before + 1).await;
    machine.end().await;
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_paused_machine_can_be_stopped() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    machine.driver.pause(&machine.vm.machine).await.unwrap();
    let grace = Stop::Gracefully(std::time::Duration::from_secs(10));
    assert!(machine.driver.stop(&machine.vm.machine, grace).await.unwrap());
    assert_eq!(machine.heard("shutdown"), ["shutdown \"powerdown\""]);
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_disk_grows_under_a_running_machine_and_its_file_system_with_it() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    machine.driver.grow_disk(&machine.vm.machine, 48).await.unwrap();
    assert_eq!(machine.heard("block_resize").last().unwrap(), "block_resize 50331648");
    assert_eq!(machine.heard(r#"{"type":"grow-disk""#).len(), 1);
    machine.end().await;
}

#[tokio::test]
async fn what_needs_the_guest_is_refused_while_it_stands_still() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let Running { driver, vm } = &machine;
    driver.pause(&vm.machine).await.unwrap();
    let error = driver.grow_disk(&vm.machine, 48).await.unwrap_err();
    assert_eq!(error.to_string(), "the guest stands still");
    machine.end().await;
}

#[tokio::test]
async fn another_identity_is_loaded_or_the_reason_is_told() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let Running { driver, vm } = &machine;
    driver.load_identity(&vm.machine, &identity("right")).await.unwrap();
    assert_eq!(machine.heard(r#"{"type":"load-identity""#).len(), 1);
    let error = driver.load_identity(&vm.machine, &identity("wrong")).await.unwrap_err();
    assert_eq!(error.to_string(), "wrong key");
    let log = std::fs::read_to_string(host.path("dev/supervisor.log")).unwrap();
    assert!(!log.contains("right"), "a key was logged");
    machine.end().await;
}

#[tokio::test]
async fn what_a_supervisor_must_do_is_refused_without_one_and_works_after_the_next_start() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let Running { driver, vm } = &machine;
    assert!(driver.is_supervised(&vm.machine).await.unwrap());
    machine.kill_supervisor().await;
    assert!(!driver.is_supervised(&vm.machine).await.unwrap());
    let refused = driver.pause(&vm.machine).await.unwrap_err();
    assert!(matches!(refused, DriverError::Unsupervised { name } if name == "dev"));
    let state = host.path("dev/state");
    let refused = driver.suspend(&vm.machine, &state).await.unwrap_err();
    assert!(matches!(refused, DriverError::Unsupervised { .. }));
    assert_eq!(machine.observe().await, Observed::Running);

    driver.start(vm, &Told::default()).await.unwrap();
    assert!(driver.is_supervised(&vm.machine).await.unwrap());
    driver.pause(&vm.machine).await.unwrap();
    assert_eq!(machine.observe().await, Observed::Paused);
    machine.end().await;
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_paused_machine_without_a_supervisor_runs_after_the_next_start() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let qemu = machine.qemu();
    machine.driver.pause(&machine.vm.machine).await.unwrap();
    machine.kill_supervisor().await;
    assert_eq!(machine.observe().await, Observed::Paused);
    machine.driver.start(&machine.vm, &Told::default()).await.unwrap();
    assert_eq!(machine.observe().await, Observed::Running);
    assert_eq!(machine.qemu(), qemu);
    machine.end().await;
}
