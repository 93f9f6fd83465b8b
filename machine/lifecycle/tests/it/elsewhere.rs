//! Docker hosts that somebody else runs.

use std::time::SystemTime;

use machine_lifecycle::{Change, DriverKind, Force, Kind, MachineSpec, State};

use crate::fake::FakeDriver;
use crate::setting::{OPTIONS, Setting, TIME, named, silent, spec};

const URL: &str = "tcp://docker.example:2376";

async fn with_far() -> Setting {
    // Not even QEMU is needed, nor an image.
    let setting = Setting::new(FakeDriver::failing("check"));
    std::fs::remove_dir_all(setting.directory.path().join("image")).unwrap();
    let far = MachineSpec { driver: DriverKind::None { url: URL.into() }, ..spec() };
    setting.machines.create(&named("far"), &far, OPTIONS, &silent()).await.unwrap();
    setting
}

#[tokio::test]
async fn a_host_elsewhere_is_reached_by_its_url_with_certificates_of_this_ca() {
    let setting = with_far().await;
    let (machines, far) = (&setting.machines, named("far"));
    let listed = machines.list(TIME, TIME).await.unwrap().remove(0);
    assert_eq!((listed.driver.as_str(), listed.state), ("none", State::Running));
    assert_eq!(listed.url.as_deref(), Some(URL));
    let connection = machines.connect(&far).await.unwrap();
    assert_eq!((connection.url.as_str(), connection.host.as_str()), (URL, "docker.example"));
    assert_eq!(connection.port, 2376);
    let read = |file: &str| setting.read("far", file);
    let client = certs::Identity { certificate: read("cert.pem"), private_key: read("key.pem") };
    let purpose = certs::Purpose::Client;
    certs::check(&client, &read("ca.pem"), purpose, SystemTime::now()).unwrap();
}

#[tokio::test]
async fn what_needs_a_vm_is_refused() {
    let setting = with_far().await;
    let (machines, far, other) = (&setting.machines, named("far"), named("other"));
    let mut errors = vec![
        machines.start(&far, OPTIONS, &silent()).await.unwrap_err(),
        machines.restart(&far, OPTIONS, &silent()).await.unwrap_err(),
        machines.stop(&far).await.unwrap_err(),
        machines.kill(&far).await.unwrap_err(),
        machines.pause(&far).await.unwrap_err(),
        machines.unpause(&far).await.unwrap_err(),
        machines.suspend(&far, &silent()).await.unwrap_err(),
        machines.snapshot_save(&far, None, &silent()).await.unwrap_err(),
        machines.snapshot_restore(&far, &other, TIME, &silent()).await.unwrap_err(),
        machines.clone_machine(&far, &other, &silent()).await.unwrap_err(),
        machines.set(&far, &Change::default()).await.unwrap_err(),
        machines.upgrade(&far, TIME, &silent()).await.unwrap_err(),
        machines.provision(&far, TIME, &silent()).await.unwrap_err(),
        machines.ssh(&far).await.unwrap_err(),
        machines.console(&far).unwrap_err(),
    ];
    for error in errors.drain(..) {
        assert_eq!(error.kind(), Kind::WrongState, "{error}");
        assert!(error.to_string().contains("hosts without a driver cannot be "), "{error}");
    }
}

#[tokio::test]
async fn a_host_elsewhere_is_renamed_shown_and_removed() {
    let setting = with_far().await;
    let (machines, near) = (&setting.machines, named("near"));
    machines.rename(&named("far"), &near).await.unwrap();
    let config = machines.config(&near).unwrap();
    assert_eq!((config.url.as_deref(), config.cpus), (Some(URL), None));
    machines.configure(&near, &config).await.unwrap();
    machines.remove(&near, Force::No, &silent()).await.unwrap();
    assert_eq!(setting.left(), [""; 0]);
}

#[tokio::test]
async fn a_url_that_is_none_is_refused() {
    let setting = Setting::new(FakeDriver::good());
    let driver = DriverKind::None { url: "docker.example".into() };
    let far = MachineSpec { driver, ..spec() };
    let error = setting.machines.create(&named("far"), &far, OPTIONS, &silent()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert_eq!(setting.left(), [""; 0]);
}
