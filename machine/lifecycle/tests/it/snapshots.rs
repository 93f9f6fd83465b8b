//! Snapshots and the way back to them.

use std::time::Duration;

use machine_lifecycle::{Kind, State};

use crate::fake::FakeDriver;
use crate::setting::{OPTIONS, Setting, TIME, named, silent};

const FOUR_GB: u64 = 4096;

#[tokio::test]
async fn a_running_machine_goes_back_to_the_moment_and_runs() {
    let setting = Setting::with_dev().await;
    let (machines, dev, one) = (&setting.machines, named("dev"), named("one"));
    setting.write("dev", "disk.qcow2", "at that moment");
    let saved = machines.snapshot_save(&dev, Some(&one), &silent()).await.unwrap();
    assert!(saved.with_memory && saved.size > 0);
    assert_eq!(machines.status(&dev).await.unwrap(), State::Running);

    setting.write("dev", "disk.qcow2", "later");
    for _ in 0..2 {
        machines.snapshot_restore(&dev, &one, TIME, &silent()).await.unwrap();
        assert_eq!(setting.read("dev", "disk.qcow2"), "at that moment");
        assert_eq!(machines.status(&dev).await.unwrap(), State::Running);
        assert!(setting.driver.started.lock().unwrap().pop().unwrap().resume_from.is_some());
    }
}

#[tokio::test]
async fn a_stopped_machine_gets_its_disk_back_and_stays_stopped() {
    let setting = Setting::with_dev().await;
    let (machines, dev, one) = (&setting.machines, named("dev"), named("one"));
    machines.stop(&dev).await.unwrap();
    assert!(!machines.snapshot_save(&dev, Some(&one), &silent()).await.unwrap().with_memory);
    machines.start(&dev, OPTIONS, &silent()).await.unwrap();
    setting.write("dev", "disk.qcow2", "later");
    machines.snapshot_restore(&dev, &one, TIME, &silent()).await.unwrap();
    assert_eq!(setting.read("dev", "disk.qcow2"), "disk");
    assert_eq!(machines.status(&dev).await.unwrap(), State::Stopped);
}

#[tokio::test]
async fn a_suspended_machine_loses_a_memory_that_does_not_fit_its_disk_any_more() {
    let setting = Setting::with_dev().await;
    let (machines, dev, one, two) = (&setting.machines, named("dev"), named("one"), named("two"));
    machines.stop(&dev).await.unwrap();
    machines.snapshot_save(&dev, Some(&one), &silent()).await.unwrap();
    machines.start(&dev, OPTIONS, &silent()).await.unwrap();
    setting.write("dev", "disk.qcow2", "later");
    machines.suspend(&dev, &silent()).await.unwrap();
    assert!(machines.snapshot_save(&dev, Some(&two), &silent()).await.unwrap().with_memory);
    machines.snapshot_restore(&dev, &one, TIME, &silent()).await.unwrap();
    assert_eq!(machines.status(&dev).await.unwrap(), State::Stopped);
    machines.snapshot_restore(&dev, &two, TIME, &silent()).await.unwrap();
    assert_eq!(machines.status(&dev).await.unwrap(), State::Running);
    assert_eq!(setting.read("dev", "disk.qcow2"), "later");
}

#[tokio::test]
async fn a_memory_comes_back_with_the_sizes_that_it_had() {
    let setting = Setting::with_dev().await;
    let (machines, dev, one) = (&setting.machines, named("dev"), named("one"));
    machines.snapshot_save(&dev, Some(&one), &silent()).await.unwrap();
    let change = machine_lifecycle::Change {
        cpus: Some(4),
        memory_mib: Some(2048),
        disk_size_mib: Some(10 * FOUR_GB),
    };
    machines.set(&dev, &change).await.unwrap();
    machines.restart(&dev, OPTIONS, &silent()).await.unwrap();
    setting.driver.calls();
    machines.snapshot_restore(&dev, &one, TIME, &silent()).await.unwrap();
    let vm = setting.driver.started.lock().unwrap().pop().unwrap();
    assert_eq!((vm.cpus, vm.memory_mib, vm.disk_size_mib), (2, 1024, 20_000));
    // What is only more disk is there at once.
    assert!(setting.driver.calls().contains(&format!("grow_disk {}", 10 * FOUR_GB)));
    assert!(machines.set(&dev, &machine_lifecycle::Change::default()).await.unwrap().at_next_start);
}

#[tokio::test]
async fn snapshots_are_listed_by_age_and_named_by_time_and_removed() {
    let setting = Setting::with_dev().await;
    let (machines, dev) = (&setting.machines, named("dev"));
    let b = machines.snapshot_save(&dev, Some(&named("b")), &silent()).await.unwrap();
    let first = machines.snapshot_save(&dev, None, &silent()).await.unwrap();
    let second = machines.snapshot_save(&dev, None, &silent()).await.unwrap();
    assert_ne!(first.name, second.name);
    assert!(first.name.as_str().len() >= "20260102-150405".len(), "{}", first.name);
    assert!(first.created.elapsed().unwrap() < Duration::from_secs(60));
    let names = || -> Vec<_> {
        machines.snapshots(&dev).unwrap().into_iter().map(|snapshot| snapshot.name).collect()
    };
    assert_eq!(names(), [b.name.clone(), first.name.clone(), second.name]);

    let error = machines.snapshot_save(&dev, Some(&b.name), &silent()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    machines.snapshot_remove(&dev, &b.name).await.unwrap();
    let error = machines.snapshot_remove(&dev, &b.name).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let error = machines.snapshot_restore(&dev, &b.name, TIME, &silent()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(names().len(), 2);
}

#[tokio::test]
async fn a_snapshot_that_fails_leaves_nothing() {
    let setting = Setting::with_dev().await;
    let machines = setting.again(FakeDriver::failing("snapshot"));
    assert!(machines.snapshot_save(&named("dev"), None, &silent()).await.is_err());
    assert!(machines.snapshots(&named("dev")).unwrap().is_empty());
    assert_eq!(std::fs::read_dir(setting.file("dev", "snapshots")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_way_back_that_is_given_up_leaves_the_machine_as_it_was() {
    for call in ["kill", "start"] {
        let setting = Setting::with_dev().await;
        let (dev, one) = (named("dev"), named("one"));
        setting.machines.snapshot_save(&dev, Some(&one), &silent()).await.unwrap();
        setting.write("dev", "disk.qcow2", "later");
        let hanging = setting.again(FakeDriver::hanging(call));
        let progress = silent();
        let mut restore = Box::pin(hanging.snapshot_restore(&dev, &one, TIME, &progress));
        // The copies end between two steps.
        while setting.file("dev", "vm").exists() && setting.read("dev", "disk.qcow2") == "later" {
            assert!(futures::poll!(&mut restore).is_pending());
        }
        drop(restore);
        let machines = &setting.machines;
        machines.start(&dev, OPTIONS, &silent()).await.unwrap();
        let disk = if call == "kill" { "later" } else { "disk" };
        assert_eq!(setting.read("dev", "disk.qcow2"), disk);
        machines.snapshot_restore(&dev, &one, TIME, &silent()).await.unwrap();
        assert_eq!(setting.read("dev", "disk.qcow2"), "disk");
    }
}
