//! `pause`, `unpause`, `suspend`, `snapshot`, `console`: moments of a machine.

use crate::User;
use crate::fake::FakeDriver;

async fn with_dev() -> User {
    let user = User::new(FakeDriver::good());
    user.types("machine create dev").await;
    user
}

#[tokio::test]
async fn a_machine_is_paused_and_goes_on() {
    let user = with_dev().await;
    insta::assert_snapshot!(user.types("machine pause dev").await, @r#"
    1| Machine "dev" was paused.
    2| Pausing "dev"...
    exit 0
    "#);
    assert!(user.types("machine status dev").await.starts_with("1| Paused"));
    let again = user.types("machine pause dev").await;
    assert!(again.ends_with("error: Machine \"dev\" is already paused.\nexit 5"), "{again}");
    insta::assert_snapshot!(user.types("machine unpause dev").await, @r#"
    1| Machine "dev" was unpaused.
    2| Unpausing "dev"...
    exit 0
    "#);
    assert!(user.types("machine unpause dev").await.ends_with("exit 5"));
    assert!(user.types("machine pause dev nope").await.ends_with("exit 4"));
}

#[tokio::test]
async fn a_suspended_machine_goes_on_with_start() {
    let user = with_dev().await;
    let seen = user.types("machine suspend dev").await;
    assert!(seen.starts_with("1| Machine \"dev\" was suspended.\n"), "{seen}");
    assert!(user.types("machine status dev").await.starts_with("1| Saved"));
    let again = user.types("machine suspend dev").await;
    assert!(again.ends_with("error: Machine \"dev\" is already suspended.\nexit 5"), "{again}");
    assert!(user.types("machine start dev").await.ends_with("exit 0"));
    assert!(user.types("machine status dev").await.starts_with("1| Running"));
}

#[tokio::test]
async fn snapshots_are_saved_listed_restored_and_removed() {
    let user = with_dev().await;
    user.types("machine stop dev").await;
    let seen = user.types("machine snapshot save dev before").await;
    assert!(seen.starts_with("1| Snapshot \"before\" of \"dev\" was saved (its disk, "), "{seen}");
    assert_eq!(user.types("machine snapshot ls -q dev").await, "1| before\nexit 0");
    let table = user.types("machine snapshot ls dev").await;
    assert!(table.starts_with("1| NAME     CREATED                MEMORY   SIZE\n"), "{table}");
    let json = user.types("machine snapshot ls dev -o json").await;
    assert!(json.contains("\"WithMemory\": false"), "{json}");
    let yaml = user.types("machine snapshot ls dev -o yaml").await;
    assert!(yaml.contains("1|   Name: before\n") || yaml.contains("Name: before"), "{yaml}");
    assert!(user.types("machine snapshot save dev before").await.ends_with("exit 1"));
    assert!(!user.types("machine snapshot restore dev nope").await.ends_with("exit 0"));
    let seen = user.types("machine snapshot restore dev before").await;
    let done = "1| Machine \"dev\" is what it was in snapshot \"before\".\n";
    assert!(seen.starts_with(done), "{seen}");
    insta::assert_snapshot!(user.types("machine snapshot rm dev before").await, @r#"
    1| Snapshot "before" of "dev" was removed.
    exit 0
    "#);
    assert_eq!(user.types("machine snapshot ls -q dev").await, "exit 0");
}

#[tokio::test]
async fn the_console_shows_its_last_lines() {
    let user = with_dev().await;
    user.types("machine stop dev").await;
    let lines: String = (1..=30).map(|line| format!("line {line}\n")).collect();
    let path = user.directory.path().join("store/machines/dev/console.log");
    std::fs::write(path, lines).unwrap();
    let seen = user.types("machine console dev").await;
    assert!(seen.starts_with("1| line 11\n"), "{seen}");
    assert!(seen.contains("1| line 30\n"), "{seen}");
    assert!(seen.contains("There is no login here; to log in, run: machine ssh dev"), "{seen}");
    assert!(seen.ends_with("2| Machine \"dev\" does not run.\nexit 0"), "{seen}");
}
