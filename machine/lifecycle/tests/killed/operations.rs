//! What a process does until it is killed.

use machine_lifecycle::{Change, Destination, Force, Regenerate};

use crate::fake::FakeDriver;
use crate::setting::{OPTIONS, TIME, machines, named, silent, spec};

/// Carries out the operation of this name.
pub(crate) async fn carry_out(operation: &str, directory: &std::path::Path) {
    let machines = machines(directory, std::sync::Arc::new(FakeDriver::good()));
    let (dev, one, progress) = (named("dev"), named("one"), silent());
    match operation {
        "create" => {
            machines.create(&dev, &spec(), OPTIONS, &progress).await.unwrap();
        }
        "start" => {
            machines.start(&dev, OPTIONS, &progress).await.unwrap();
        }
        "stop" => {
            machines.stop(&dev).await.unwrap();
        }
        "suspend" => {
            machines.suspend(&dev, &progress).await.unwrap();
        }
        "remove" => machines.remove(&dev, Force::No, &progress).await.unwrap(),
        "snapshot" => {
            machines.snapshot_save(&dev, Some(&one), &progress).await.unwrap();
        }
        "restore" => machines.snapshot_restore(&dev, &one, TIME, &progress).await.unwrap(),
        "rename" => machines.rename(&dev, &named("new")).await.unwrap(),
        "clone" => machines.clone_machine(&dev, &named("copy"), &progress).await.unwrap(),
        "set" => {
            let change = Change { cpus: Some(3), disk_size_mib: Some(30_000), ..Change::default() };
            machines.set(&dev, &change).await.unwrap();
        }
        "regenerate" => {
            let what = Regenerate { client: true, authority: false };
            machines.regenerate_certificates(&dev, what).await.unwrap();
        }
        "replace the CA" => {
            let what = Regenerate { client: true, authority: true };
            machines.regenerate_certificates(&dev, what).await.unwrap();
        }
        "export" => {
            let to = directory.join("exported/dev.machine");
            machines.export(&dev, Destination::Replace(&to), &progress).await.unwrap();
        }
        "import" => {
            let mut from = std::fs::File::open(directory.join("exported/dev.machine")).unwrap();
            let copy = named("copy");
            machines.import(&mut from, Some(&copy), &progress).await.unwrap();
        }
        unknown => panic!("{unknown}"),
    }
}
