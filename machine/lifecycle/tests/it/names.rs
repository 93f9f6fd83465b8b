//! Machines under another name: renamed and cloned.

use std::time::SystemTime;

use machine_lifecycle::{Kind, State};

use crate::fake::FakeDriver;
use crate::setting::{OPTIONS, Setting, named, silent, spec};

fn server_is_called(setting: &Setting, name: &str) -> bool {
    let server = certs::Identity {
        certificate: setting.read(name, "server.pem"),
        private_key: setting.read(name, "server-key.pem"),
    };
    let names = certs::public_names(name, &["dev.example".to_owned()]);
    let purpose = certs::Purpose::Server { names: &names };
    certs::check(&server, &setting.read(name, "ca.pem"), purpose, SystemTime::now()).is_ok()
}

#[tokio::test]
async fn a_renamed_machine_keeps_everything_but_its_certificates() {
    let setting = Setting::with_dev().await;
    let (machines, dev, prod) = (&setting.machines, named("dev"), named("prod"));
    machines.snapshot_save(&dev, Some(&named("one")), &silent()).await.unwrap();
    machines.stop(&dev).await.unwrap();
    let before = machines.inspect(&dev).await.unwrap().record;
    machines.rename(&dev, &prod).await.unwrap();
    assert_eq!(machines.status(&dev).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(machines.inspect(&prod).await.unwrap().record, before);
    assert_eq!(machines.snapshots(&prod).unwrap().len(), 1);
    assert!(server_is_called(&setting, "prod"));
    assert!(!setting.left().contains(&".dev.lock".to_owned()));
    machines.start(&prod, OPTIONS, &silent()).await.unwrap();
    setting.create("dev").await.unwrap();
}

#[tokio::test]
async fn only_a_stopped_machine_is_renamed_and_only_to_a_free_name() {
    let setting = Setting::with_dev().await;
    let (machines, dev, prod) = (&setting.machines, named("dev"), named("prod"));
    let error = machines.rename(&dev, &prod).await.unwrap_err();
    assert_eq!(error.kind(), Kind::WrongState);
    machines.suspend(&dev, &silent()).await.unwrap();
    assert_eq!(machines.rename(&dev, &prod).await.unwrap_err().kind(), Kind::WrongState);
    assert!(!setting.left().iter().any(|name| name.contains("prod")));
    setting.create("prod").await.unwrap();
    machines.stop(&prod).await.unwrap();
    assert_eq!(machines.rename(&prod, &dev).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(machines.rename(&prod, &prod).await.unwrap_err().kind(), Kind::Conflict);
    let error = machines.rename(&named("nope"), &named("new")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

#[tokio::test]
async fn an_interrupted_renaming_is_healed_by_the_next_start() {
    let setting = Setting::with_dev().await;
    setting.machines.stop(&named("dev")).await.unwrap();
    let machines = setting.directory.path().join("store/machines");
    std::fs::rename(machines.join("dev"), machines.join("prod")).unwrap();
    assert!(!server_is_called(&setting, "prod"));
    setting.machines.start(&named("prod"), OPTIONS, &silent()).await.unwrap();
    assert!(server_is_called(&setting, "prod"));
}

#[tokio::test]
async fn a_clone_has_the_same_disk_and_nothing_else_in_common() {
    let setting = Setting::with_dev().await;
    let (machines, dev) = (&setting.machines, named("dev"));
    setting.write("dev", "disk.qcow2", "its content");
    let clone = async |to: &str| {
        machines.clone_machine(&dev, &named(to), &silent()).await.unwrap();
        assert_eq!(setting.read(to, "disk.qcow2"), "its content");
        assert_eq!(machines.status(&named(to)).await.unwrap(), State::Stopped);
    };
    clone("of-running").await;
    assert_eq!(machines.status(&dev).await.unwrap(), State::Running);
    machines.stop(&dev).await.unwrap();
    clone("of-stopped").await;

    let record = |name: &str| setting.machines.store().record(name).unwrap();
    let (original, copy) = (record("dev"), record("of-stopped"));
    assert!(original.ports.api != copy.ports.api && original.ports.ssh != copy.ports.ssh);
    assert_eq!(machine_store::MachineRecord { ports: original.ports, ..copy }, original);
    for file in ["cert.pem", "key.pem", "server-key.pem", "id_ed25519", "ssh_host_ed25519_key"] {
        assert_ne!(setting.read("dev", file), setting.read("of-stopped", file), "{file}");
    }
    assert!(server_is_called(&setting, "of-stopped"));
    machines.start(&named("of-stopped"), OPTIONS, &silent()).await.unwrap();
}

#[tokio::test]
async fn a_clone_of_a_suspended_machine_has_no_memory_and_says_so() {
    let setting = Setting::with_dev().await;
    let (machines, dev) = (&setting.machines, named("dev"));
    machines.suspend(&dev, &silent()).await.unwrap();
    let progress = silent();
    machines.clone_machine(&dev, &named("copy"), &progress).await.unwrap();
    assert_eq!(progress.0.into_inner().unwrap().len(), 1);
    assert_eq!(machines.status(&named("copy")).await.unwrap(), State::Stopped);
    assert_eq!(machines.status(&dev).await.unwrap(), State::Saved);
}

#[tokio::test]
async fn a_clone_that_fails_or_is_given_up_leaves_nothing() {
    let setting = Setting::with_dev().await;
    let (dev, copy) = (named("dev"), named("copy"));
    let failing = setting.again(FakeDriver::failing("snapshot"));
    assert!(failing.clone_machine(&dev, &copy, &silent()).await.is_err());
    assert!(!setting.left().iter().any(|name| name.contains("copy")));

    let hanging = setting.again(FakeDriver::hanging("snapshot"));
    let progress = silent();
    let mut clone = Box::pin(hanging.clone_machine(&dev, &copy, &progress));
    assert!(futures::poll!(&mut clone).is_pending());
    drop(clone);
    assert!(!setting.machines.exists(&copy));
    setting.machines.clone_machine(&dev, &copy, &silent()).await.unwrap();
    let error = setting.machines.clone_machine(&dev, &copy, &silent()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
}

#[tokio::test]
async fn an_interrupted_creation_is_in_the_way_of_no_clone() {
    let setting = Setting::with_dev().await;
    let hanging = setting.again(FakeDriver::hanging("start"));
    let (copy, spec, progress) = (named("copy"), spec(), silent());
    let mut create = Box::pin(hanging.create(&copy, &spec, OPTIONS, &progress));
    assert!(futures::poll!(&mut create).is_pending());
    drop(create);
    setting.machines.clone_machine(&named("dev"), &copy, &silent()).await.unwrap();
    assert_eq!(setting.machines.status(&copy).await.unwrap(), State::Stopped);
}
