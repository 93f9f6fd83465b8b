//! `set`, `show`, `edit`, `clone`, `rename`: a machine becomes another one, or two.

use std::fs;

use crate::User;
use crate::fake::FakeDriver;

async fn with_stopped_dev() -> User {
    let user = User::new(FakeDriver::good());
    user.types("machine create dev").await;
    user.types("machine stop dev").await;
    user
}

/// With an editor that runs a script on the file.
fn editing(user: User, script: &str) -> User {
    let path = user.directory.path().join("editor");
    fs::write(&path, script).unwrap();
    let editor = format!("/bin/sh {}", path.display());
    user.with("EDITOR", &editor)
}

#[tokio::test]
async fn sizes_are_changed_and_shown() {
    let user = with_stopped_dev().await;
    insta::assert_snapshot!(user.types("machine set dev --cpus 3 --memory 2GB --disk 40GB").await, @r#"
    1| Machine "dev" was changed.
    exit 0
    "#);
    insta::assert_snapshot!(user.types("machine show dev").await, @r"
    1| name: dev
    1| driver: qemu
    1| cpus: 3
    1| memory: 2GB
    1| disk: 40GB
    1| acceleration: auto
    exit 0
    ");
    let json = user.types("machine show dev -o json").await;
    assert!(json.contains("1|   \"memory\": \"2GB\""), "{json}");
    assert!(user.types("machine show --schema").await.contains("1| {\n1|   \"$schema\""));
}

#[tokio::test]
async fn cpus_and_memory_of_a_running_machine_wait_for_its_next_start() {
    let user = User::new(FakeDriver::good());
    user.types("machine create dev").await;
    insta::assert_snapshot!(user.types("machine set dev --memory 2048").await, @r#"
    1| Machine "dev" was changed.
    1| The rest applies at the next start: machine restart dev
    exit 0
    "#);
}

#[tokio::test]
async fn nothing_to_set_or_what_cannot_be_is_refused() {
    let user = with_stopped_dev().await;
    insta::assert_snapshot!(user.types("machine set dev").await, @r"
    2| error: nothing to change was given
    2|   hint: give one or more of --cpus, --memory and --disk
    exit 2
    ");
    assert!(user.types("machine set nope --cpus 1").await.ends_with("exit 4"));
    assert!(user.types("machine set dev --memory lots").await.ends_with("exit 2"));
    let seen = user.types("machine set dev --disk 4096").await;
    assert!(seen.starts_with("2| error: ") && !seen.ends_with("exit 0"), "{seen}");
    assert!(user.types("machine show dev").await.contains("disk: 20000MB"));
}

#[tokio::test]
async fn an_edited_configuration_is_applied() {
    let user = editing(with_stopped_dev().await, "sed -i 's/^cpus: .*/cpus: 4/' \"$1\"");
    insta::assert_snapshot!(user.types("machine edit dev").await, @r#"
    1| Machine "dev" was changed.
    exit 0
    "#);
    assert!(user.types("machine show dev").await.contains("1| cpus: 4\n"));
}

#[tokio::test]
async fn a_mistake_is_shown_in_the_editor_again_and_can_be_mended() {
    let user = with_stopped_dev().await;
    let script = "if grep -q '^# error: .*colour' \"$1\"; then sed -i 's/^colour: .*/cpus: 4/' \
                  \"$1\"; else sed -i 's/^cpus: .*/colour: red/' \"$1\"; fi";
    let user = editing(user, script);
    let seen = user.types("machine edit dev").await;
    assert!(seen.ends_with("exit 0"), "{seen}");
    assert!(user.types("machine show dev").await.contains("1| cpus: 4\n"));
}

#[tokio::test]
async fn an_edit_that_is_given_up_changes_nothing() {
    let user = editing(with_stopped_dev().await, "true");
    insta::assert_snapshot!(user.types("machine edit dev").await, @r"
    2| Nothing was changed.
    exit 0
    ");
    // Wrong, and left as it is the second time.
    let once = "grep -q '^# error' \"$1\" || sed -i 's/^cpus: .*/cpus: 99/' \"$1\"";
    let user = editing(user, once);
    let seen = user.types("machine edit dev").await;
    assert!(seen.contains("99") && seen.contains("hint: nothing was changed"), "{seen}");
    assert!(!seen.ends_with("exit 0"), "{seen}");
    let user = editing(user, "exit 3");
    let seen = user.types("machine edit dev").await;
    assert!(seen.contains("nothing was changed") && seen.ends_with("exit 1"), "{seen}");
    assert!(user.types("machine show dev").await.contains("1| cpus: 2\n"));
}

#[tokio::test]
async fn what_is_shown_makes_another_machine() {
    let user = with_stopped_dev().await;
    user.types("machine set dev --cpus 3").await;
    let file = user.directory.path().join("dev.yaml");
    let shown = user.types("machine show dev").await;
    let text: String = shown
        .lines()
        .filter_map(|line| line.strip_prefix("1| "))
        .fold(String::new(), |text, line| text + line + "\n");
    fs::write(&file, text).unwrap();
    let seen = user.types(&format!("machine create -f {} copy", file.display())).await;
    assert!(seen.ends_with("exit 0"), "{seen}");
    assert!(user.types("machine show copy").await.contains("1| cpus: 3\n"));
}

#[tokio::test]
async fn a_clone_is_a_machine_of_its_own() {
    let user = with_stopped_dev().await;
    let seen = user.types("machine clone dev copy").await;
    assert!(seen.starts_with("1| Machine \"dev\" was cloned as \"copy\".\n"), "{seen}");
    assert_eq!(user.types("machine ls -q").await, "1| copy\n1| dev\nexit 0");
    assert!(user.types("machine status copy").await.starts_with("1| Stopped"));
    assert!(user.types("machine clone dev third --start").await.ends_with("exit 0"));
    assert!(user.types("machine status third").await.starts_with("1| Running"));
    assert!(user.types("machine clone dev copy").await.ends_with("exit 1"));
    assert!(user.types("machine clone nope x").await.ends_with("exit 4"));
    assert!(user.types("machine clone dev no_name").await.ends_with("exit 2"));
}

#[tokio::test]
async fn a_running_machine_is_not_renamed() {
    let user = with_stopped_dev().await;
    insta::assert_snapshot!(user.types("machine rename dev neu").await, @r#"
    1| Machine "dev" is now called "neu".
    exit 0
    "#);
    user.types("machine start neu").await;
    assert!(user.types("machine rename neu dev").await.ends_with("exit 5"));
    assert_eq!(user.types("machine ls -q").await, "1| neu\nexit 0");
}
