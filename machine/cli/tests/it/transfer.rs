//! `export` and `import`.

use std::fs;

use crate::User;
use crate::fake::FakeDriver;

async fn with_dev() -> User {
    let user = User::new(FakeDriver::good());
    user.types("machine create dev").await;
    let mut disk = vec![0; 1 << 20];
    disk[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    disk[23] = 16;
    disk[24..32].copy_from_slice(&(4_u64 << 30).to_be_bytes());
    fs::write(user.directory.path().join("store/machines/dev/disk.qcow2"), disk).unwrap();
    user
}

#[tokio::test]
async fn a_machine_goes_out_and_comes_in_under_another_name() {
    let user = with_dev().await;
    let file = user.directory.path().join("dev.machine");
    let export = format!("machine export dev {}", file.display());
    insta::assert_snapshot!(user.types(&export).await, @r#"
    1| Machine "dev" was written to DIR/dev.machine.
    2| (dev) Copying the disk...
    2| (dev) Writing the machine...
    exit 0
    "#);
    insta::assert_snapshot!(user.types(&export).await, @r"
    2| error: DIR/dev.machine exists already
    2|   hint: name another file, or give --force
    exit 1
    ");
    assert!(user.types(&format!("{export} --force")).await.ends_with("exit 0"));
    let import = format!("machine import {} copy", file.display());
    insta::assert_snapshot!(user.types(&import).await, @r#"
    1| Machine "copy" was imported. Start it: machine start copy
    2| (copy) Importing "copy"...
    exit 0
    "#);
    insta::assert_snapshot!(user.types(&import).await, @r#"
    2| error: Docker machine "copy" already exists
    2|   hint: choose another name, or remove it first: machine rm copy
    exit 1
    "#);
}

#[tokio::test]
async fn what_is_no_machine_is_not_imported() {
    let user = User::new(FakeDriver::good());
    let file = user.directory.path().join("something");
    fs::write(&file, "something").unwrap();
    insta::assert_snapshot!(user.types(&format!("machine import {}", file.display())).await, @r"
    2| error: the file is not an exported machine
    2|   because: it cannot be read, is damaged, or ends too early
    2|   because: Unknown frame descriptor
    2|   hint: import a whole file that `machine export` has written
    exit 1
    ");
    assert_eq!(user.left(), 0);
    let missing = user.types("machine import /nowhere").await;
    assert!(missing.contains("/nowhere cannot be read") && missing.ends_with("exit 1"));
}
