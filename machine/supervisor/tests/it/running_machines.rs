//! Machines that run: asked, stopped, and found again by whoever comes after a death.

use std::net::TcpListener;
use std::time::Duration;

use machine_lifecycle::driver::{Driver, Observed, Stop};
use rustix::process::{Signal, kill_process};

use crate::harness::{Host, Running, Told};

const GRACE: Stop = Stop::Gracefully(Duration::from_secs(60));

#[tokio::test]
async fn a_machine_starts_runs_and_stops() {
    let host = Host::new();
    let told = Told::default();
    let machine = Running::prepare(&host);
    let started = machine.driver.start(&machine.vm, &told).await.unwrap();
    let names: Vec<_> = started.timings.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["qemu", "kernel", "init", "daemon", "api"]);
    assert_eq!(
        *told.steps.lock().unwrap(),
        ["starting QEMU", "booting the guest", "waiting for the API"]
    );
    assert_eq!(machine.observe().await, Observed::Running);
    assert_eq!(machine.heard("GET "), ["GET /_ping HTTP/1.1"]);

    assert!(machine.driver.stop(&machine.vm.machine, GRACE).await.unwrap());
    assert_eq!(machine.heard("shutdown"), ["shutdown \"powerdown\""]);
    assert_eq!(machine.observe().await, Observed::Stopped);
    assert!(!machine.driver.stop(&machine.vm.machine, GRACE).await.unwrap());
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_stopped_machine_can_be_started_at_once() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    for _ in 0..3 {
        assert!(machine.driver.stop(&machine.vm.machine, Stop::Kill).await.unwrap());
        machine.driver.start(&machine.vm, &Told::default()).await.unwrap();
    }
    machine.end().await;
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_guest_without_an_agent_is_stopped_by_its_power_button() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    std::fs::write(host.path("dev/guest.is-deaf"), "").unwrap();
    assert!(machine.driver.stop(&machine.vm.machine, GRACE).await.unwrap());
    assert_eq!(machine.heard("power"), ["power button"]);
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_clock_that_is_wrong_at_the_start_is_set() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    machine.until_heard("guest-set-time").await;
    machine.end().await;
}

#[tokio::test]
async fn a_guest_gets_the_ports_it_asks_for_or_the_reason_why_not() {
    let host = Host::new();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let listener = TcpListener::bind(("127.0.0.1", taken)).unwrap();
    let machine = Running::prepare(&host);
    let forward = |port: u16, ip: &str| {
        format!(r#"{{"protocol":"tcp","host_ip":"{ip}","host_port":{port},"guest_port":80}}"#)
    };
    let says = [(1, forward(0, "")), (2, forward(taken, "0.0.0.0")), (3, forward(0, "10.1.1.1"))]
        .map(|(id, forward)| format!(r#"{{"type":"publish","id":{id},"forward":{forward}}}"#));
    std::fs::write(host.path("dev/guest.says"), says.join("\n") + "\n").unwrap();
    machine.driver.start(&machine.vm, &Told::default()).await.unwrap();

    machine.until_heard(r#"{"type":"published","id":3,"result":{"Err""#).await;
    let added = machine.heard("hostfwd_add net0 tcp:127.0.0.1:");
    assert_eq!(added.len(), 1);
    let port = added[0].trim_end_matches("-:80").rsplit(':').next().unwrap();
    assert_eq!(
        machine.heard(r#"{"type":"published","id":1"#),
        [format!(r#"{{"type":"published","id":1,"result":{{"Ok":{port}}}}}"#)]
    );
    assert_eq!(
        machine.heard(r#"{"type":"published","id":2"#),
        [r#"{"type":"published","id":2,"result":{"Err":"port is already allocated"}}"#]
    );
    drop(listener);
    machine.end().await;
}

#[tokio::test]
async fn a_machine_whose_supervisor_died_runs_on_and_can_be_stopped() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    machine.kill_supervisor().await;
    assert_eq!(machine.observe().await, Observed::Running);
    assert!(machine.driver.stop(&machine.vm.machine, GRACE).await.unwrap());
    assert_eq!(machine.heard("shutdown"), ["shutdown \"powerdown\""]);
    assert_eq!(machine.observe().await, Observed::Stopped);
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_machine_whose_supervisor_died_is_taken_over_by_the_next_start() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let qemu = machine.qemu();
    machine.kill_supervisor().await;
    std::fs::write(host.path("dev/guest.says"), "").unwrap();
    machine.driver.start(&machine.vm, &Told::default()).await.unwrap();
    assert_eq!(machine.qemu(), qemu);
    assert_eq!(machine.observe().await, Observed::Running);
    machine.end().await;
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn when_everything_is_killed_what_is_left_means_nothing() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let qemu = machine.qemu();
    machine.kill_supervisor().await;
    kill_process(qemu, Signal::KILL).unwrap();
    machine.until(Observed::Stopped).await;
    assert!(!machine.driver.stop(&machine.vm.machine, Stop::Kill).await.unwrap());
    host.assert_nothing_is_left();
    machine.driver.start(&machine.vm, &Told::default()).await.unwrap();
    machine.end().await;
}

#[tokio::test]
async fn a_qemu_that_dies_leaves_a_stopped_machine() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    kill_process(machine.qemu(), Signal::KILL).unwrap();
    machine.until(Observed::Stopped).await;
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_qemu_that_hangs_is_told_and_can_be_killed() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    kill_process(machine.qemu(), Signal::STOP).unwrap();
    assert_eq!(machine.glance().await, Observed::Unresponsive);
    assert!(machine.driver.stop(&machine.vm.machine, Stop::Kill).await.unwrap());
    assert_eq!(machine.observe().await, Observed::Stopped);
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_supervisor_that_hangs_does_not_protect_its_machine() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let supervisor = machine.supervisor().unwrap();
    kill_process(supervisor, Signal::STOP).unwrap();
    assert_eq!(machine.glance().await, Observed::Unresponsive);
    assert!(machine.driver.stop(&machine.vm.machine, Stop::Kill).await.unwrap());
    kill_process(supervisor, Signal::CONT).unwrap();
    machine.until(Observed::Stopped).await;
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_supervisor_that_is_told_to_end_stops_its_machine_gently() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    kill_process(machine.supervisor().unwrap(), Signal::TERM).unwrap();
    machine.until(Observed::Stopped).await;
    assert_eq!(machine.heard("shutdown"), ["shutdown \"powerdown\""]);
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn an_api_of_another_ca_is_not_the_machines() {
    let host = Host::new();
    let machine = Running::prepare(&host);
    let stranger = rcgen::KeyPair::generate().unwrap();
    let ca = rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap();
    std::fs::write(host.path("other.pem"), ca.self_signed(&stranger).unwrap().pem()).unwrap();
    let vm = machine_lifecycle::driver::VmSpec {
        ca_certificate: host.path("other.pem"),
        ..machine.vm.clone()
    };
    let error = machine.driver.start(&vm, &Told::default()).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    host.assert_nothing_is_left();
}
