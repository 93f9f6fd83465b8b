//! `autostart`: the unit is there, and only ours is touched.
#![cfg(target_os = "linux")]

use std::fs;

use crate::User;
use crate::fake::FakeDriver;

async fn with_dev() -> User {
    let user = User::new(FakeDriver::good());
    let home = user.directory.path().to_str().unwrap().to_owned();
    let user = user.with("HOME", &home).with("USER", "nobody-here");
    user.types("machine create dev").await;
    user.types("machine stop dev").await;
    user
}

const UNIT: &str = ".config/systemd/user/machine@dev.service";
const LINK: &str = ".config/systemd/user/default.target.wants/machine@dev.service";

#[tokio::test]
async fn a_unit_is_written_and_enabled_and_removed_again() {
    let user = with_dev().await;
    assert_eq!(user.types("machine autostart status dev").await, "1| off\nexit 0");
    insta::assert_snapshot!(user.types("machine autostart on dev").await, @r#"
    1| Machine "dev" starts when you log in.
    2| The user's systemd does not run here; the unit is used when it does.
    exit 0
    "#);
    assert_eq!(user.types("machine autostart status dev").await, "1| login\nexit 0");
    let unit = fs::read_to_string(user.directory.path().join(UNIT)).unwrap();
    let start = "ExecStart=\"DIR/bin/machine\" --storage-path \"DIR/store\" start dev\n";
    assert!(user.steady(&unit).contains(start), "{unit}");
    // Through the link.
    assert_eq!(fs::read_to_string(user.directory.path().join(LINK)).unwrap(), unit);
    assert!(user.types("machine autostart on dev").await.ends_with("exit 0"));
    insta::assert_snapshot!(user.types("machine autostart off dev").await, @r#"
    1| Machine "dev" does not start by itself any more.
    exit 0
    "#);
    assert!(!user.directory.path().join(UNIT).exists());
    assert!(user.directory.path().join(LINK).symlink_metadata().is_err());
    insta::assert_snapshot!(user.types("machine autostart off dev").await, @r#"
    1| Machine "dev" does not start by itself.
    exit 0
    "#);
}

#[tokio::test]
async fn a_renamed_machine_starts_by_itself_under_its_new_name() {
    let user = with_dev().await;
    user.types("machine autostart on dev").await;
    let seen = user.types("machine rename dev neu").await;
    assert!(seen.ends_with("exit 0"), "{seen}");
    assert_eq!(user.types("machine autostart status neu").await, "1| login\nexit 0");
    assert!(!user.directory.path().join(UNIT).exists());
}

#[tokio::test]
async fn a_removed_machine_leaves_no_unit() {
    let user = with_dev().await;
    user.types("machine autostart on dev").await;
    assert!(user.types("machine rm -y dev").await.ends_with("exit 0"));
    assert!(!user.directory.path().join(UNIT).exists());
    assert!(user.directory.path().join(LINK).symlink_metadata().is_err());
}

#[tokio::test]
async fn somebody_elses_unit_is_not_touched() {
    let user = with_dev().await;
    let unit = user.directory.path().join(UNIT);
    fs::create_dir_all(unit.parent().unwrap()).unwrap();
    fs::write(&unit, "[Service]\nExecStart=/bin/true\n").unwrap();
    insta::assert_snapshot!(user.types("machine autostart on dev").await, @r"
    2| error: DIR/.config/systemd/user/machine@dev.service is there already, and not for this machine
    2|   hint: remove that file first if nobody needs it
    exit 1
    ");
    assert_eq!(user.types("machine autostart status dev").await, "1| off\nexit 0");
    user.types("machine autostart off dev").await;
    assert!(unit.exists());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let user = with_dev().await;
    assert!(user.types("machine autostart off --boot dev").await.ends_with("exit 2"));
    assert!(user.types("machine autostart maybe dev").await.ends_with("exit 2"));
    assert!(user.types("machine autostart on nope").await.ends_with("exit 4"));
}
