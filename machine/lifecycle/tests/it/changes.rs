//! What can be different later.

use machine_lifecycle::{Change, Changed, InvalidSpec, Kind, MachineConfig, State};

use crate::fake::FakeDriver;
use crate::setting::{OPTIONS, Setting, named, silent};

#[tokio::test]
async fn cpus_and_memory_change_at_the_next_start() {
    let setting = Setting::with_dev().await;
    let (machines, dev) = (&setting.machines, named("dev"));
    let change = Change { cpus: Some(4), memory_mib: Some(2048), disk_size_mib: None };
    let changed = machines.set(&dev, &change).await.unwrap();
    assert_eq!(changed, Changed { at_next_start: true, disk_grown: false });
    assert_eq!(setting.driver.calls(), [""; 0]);
    machines.restart(&dev, OPTIONS, &silent()).await.unwrap();
    let vm = setting.driver.started.lock().unwrap().pop().unwrap();
    assert_eq!((vm.cpus, vm.memory_mib), (4, 2048));
    assert_eq!(machines.set(&dev, &change).await.unwrap(), Changed::default());
    machines.stop(&dev).await.unwrap();
    let back = Change { cpus: Some(1), ..Change::default() };
    assert_eq!(machines.set(&dev, &back).await.unwrap(), Changed::default());
}

#[tokio::test]
async fn a_disk_grows_at_once_when_the_machine_runs_and_never_shrinks() {
    let setting = Setting::with_dev().await;
    let (machines, dev) = (&setting.machines, named("dev"));
    let disk = |mib| Change { disk_size_mib: Some(mib), ..Change::default() };
    let changed = machines.set(&dev, &disk(30_000)).await.unwrap();
    assert_eq!(changed, Changed { at_next_start: false, disk_grown: true });
    assert_eq!(setting.driver.calls(), ["grow_disk 30000"]);

    let error = machines.set(&dev, &disk(20_000)).await.unwrap_err();
    assert!(error.to_string().contains("not possible"), "{error}");
    assert_eq!(machines.inspect(&dev).await.unwrap().record.disk_size_mib, 30_000);

    machines.stop(&dev).await.unwrap();
    machines.set(&dev, &disk(40_000)).await.unwrap();
    machines.start(&dev, OPTIONS, &silent()).await.unwrap();
    assert_eq!(setting.driver.started.lock().unwrap().pop().unwrap().disk_size_mib, 40_000);
}

#[tokio::test]
async fn a_disk_that_could_not_grow_grows_when_the_machine_is_provisioned() {
    let setting = Setting::with_dev().await;
    let failing = setting.again(FakeDriver::failing("grow_disk 30000"));
    let (machines, dev) = (&setting.machines, named("dev"));
    let change = Change { disk_size_mib: Some(30_000), ..Change::default() };
    assert!(failing.set(&dev, &change).await.is_err());
    machines.provision(&dev, OPTIONS.timeout, &silent()).await.unwrap();
    assert_eq!(setting.driver.calls(), ["load_identity", "grow_disk 30000"]);
    machines.provision(&dev, OPTIONS.timeout, &silent()).await.unwrap();
    assert_eq!(setting.driver.calls(), ["load_identity"]);
    machines.stop(&dev).await.unwrap();
    let error = machines.provision(&dev, OPTIONS.timeout, &silent()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::WrongState);
}

#[tokio::test]
async fn what_the_host_does_not_have_is_refused_and_changes_nothing() {
    let setting = Setting::with_dev().await;
    let (machines, dev) = (&setting.machines, named("dev"));
    let before = machines.inspect(&dev).await.unwrap().record;
    for change in [
        Change { cpus: Some(5), ..Change::default() },
        Change { cpus: Some(0), ..Change::default() },
        // 4096 are free, and its own 1024 become free.
        Change { memory_mib: Some(5121), ..Change::default() },
        Change { memory_mib: Some(100), ..Change::default() },
        Change { disk_size_mib: Some(u64::MAX), ..Change::default() },
    ] {
        let error = machines.set(&dev, &change).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{change:?}");
    }
    assert_eq!(machines.inspect(&dev).await.unwrap().record, before);
    let change = Change { memory_mib: Some(5120), ..Change::default() };
    assert!(machines.set(&dev, &change).await.is_ok());
}

#[tokio::test]
async fn what_is_shown_can_be_edited() {
    let setting = Setting::with_dev().await;
    let (machines, dev) = (&setting.machines, named("dev"));
    let shown = machines.config(&dev).unwrap();
    assert_eq!(machines.configure(&dev, &shown).await.unwrap(), Changed::default());

    let mut edited = shown.clone();
    edited.engine.labels = vec!["colour=blue".into()];
    edited.tls_names.push("other.example".into());
    assert!(machines.configure(&dev, &edited).await.unwrap().at_next_start);
    assert_eq!(machines.config(&dev).unwrap(), edited);
    machines.restart(&dev, OPTIONS, &silent()).await.unwrap();
    let contract: boot::BootContract =
        serde_json::from_str(&setting.read("dev", "boot.json")).unwrap();
    assert_eq!(contract.engine.labels, ["provider=qemu", "colour=blue"]);

    edited.engine.storage_driver = Some("zfs".into());
    let error = machines.configure(&dev, &edited).await.unwrap_err();
    let refused = InvalidSpec::StorageDriver("zfs".into());
    assert!(matches!(error, machine_lifecycle::Error::Spec(ref invalid) if *invalid == refused));
    let renamed = MachineConfig { name: Some("other".into()), ..shown };
    let error = machines.configure(&dev, &renamed).await.unwrap_err();
    assert!(error.hint().unwrap().contains("machine rename dev"));
    assert_eq!(machines.status(&dev).await.unwrap(), State::Running);
}
