//! `doctor`: what is missing is said, and whether a machine can be made.

use crate::User;
use crate::fake::FakeDriver;

fn findings(seen: &str) -> serde_json::Value {
    let json: String = seen.lines().filter_map(|line| line.strip_prefix("1| ")).collect();
    serde_json::from_str(&json).unwrap()
}

fn status<'a>(findings: &'a serde_json::Value, check: &str) -> Option<&'a str> {
    let checks = findings["Checks"].as_array().unwrap();
    checks.iter().find(|one| one["Check"] == check)?["Status"].as_str()
}

#[tokio::test]
async fn a_damaged_image_fails_and_keeps_machines_from_being_made() {
    let user = User::new(FakeDriver::good());
    let good = findings(&user.types("machine doctor -o json").await);
    assert_eq!(status(&good, "guest image"), Some("ok"));
    assert_eq!(status(&good, "storage"), Some("ok"));
    assert_eq!(status(&good, "disk space"), Some("ok"));
    assert_eq!(status(&good, "ports"), Some("ok"));
    std::fs::write(user.directory.path().join("image/vmlinux"), "KERNEL").unwrap();
    let seen = user.types("machine doctor -o json").await;
    assert!(seen.ends_with("exit 1"), "{seen}");
    let bad = findings(&seen);
    assert_eq!(status(&bad, "guest image"), Some("fail"));
    assert_eq!(bad["MachinesCanBeMade"], false);
}

#[tokio::test]
async fn what_is_left_over_or_not_there_is_a_warning_with_a_fix() {
    let user = User::new(FakeDriver::good()).with("PATH", "/nowhere");
    user.types("machine create dev").await;
    let machines = user.directory.path().join("store/machines");
    std::fs::create_dir(machines.join(".old.creating")).unwrap();
    let facts = r#"{"unusable":{"kvm":{"circumstances":"6.1 QEMU 7.2","reason":"it stopped"}}}"#;
    std::fs::write(user.directory.path().join("store/host.json"), facts).unwrap();
    let seen = findings(&user.types("machine doctor -o json").await);
    for check in ["docker", "ssh", "leftovers", "earlier starts"] {
        assert_eq!(status(&seen, check), Some("warn"), "{check}");
    }
    for check in seen["Checks"].as_array().unwrap() {
        assert_eq!(check["Fix"].is_null(), check["Status"] == "ok", "{check}");
    }
}

#[tokio::test]
async fn a_port_that_another_program_took_is_named() {
    let user = User::new(FakeDriver::good());
    user.types("machine create dev").await;
    user.types("machine stop dev").await;
    let port = user.driver.started.lock().unwrap()[0].api_port;
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let seen = user.types("machine doctor").await;
    assert!(seen.contains("dev cannot start: another program has its port PORT"), "{seen}");
}
