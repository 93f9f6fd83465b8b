//! `certs` and `regenerate-certs`, and a CA of the user's own.

use std::fs;

use crate::User;
use crate::fake::FakeDriver;

async fn with_dev() -> User {
    let user = User::new(FakeDriver::good());
    user.types("machine create dev").await;
    user
}

fn file(user: &User, path: &str) -> String {
    fs::read_to_string(user.directory.path().join(path)).unwrap()
}

#[tokio::test]
async fn certificates_are_shown_as_table_json_and_yaml() {
    let user = with_dev().await;
    let table = user.types("machine certs").await;
    assert!(table.starts_with("1| MACHINE   USE      FROM"), "{table}");
    assert!(table.contains("DIR/store/machines/dev/cert.pem") && table.contains("good"));
    let (json, _, code) = user.runs(&["machine", "certs", "dev", "-o", "json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(code, 0);
    assert_eq!(json[0]["Machine"], serde_json::Value::Null);
    assert_eq!((&json[1]["Use"], &json[1]["DaysLeft"]), (&"server".into(), &396.into()));
    assert_eq!(json[1]["Names"][0], "localhost");
    let yaml = user.types("machine certs -o yaml").await;
    assert!(yaml.contains("1| - Machine: dev\n1|   Use: client\n"), "{yaml}");
    insta::assert_snapshot!(user.types("machine certs nope").await, @r#"
    2| error: Docker machine "nope" does not exist
    2|   hint: `machine ls` lists the machines, `machine create nope` makes this one
    exit 4
    "#);
}

#[tokio::test]
async fn certificates_are_not_regenerated_without_a_yes() {
    let user = with_dev().await;
    let before = file(&user, "store/machines/dev/server.pem");
    insta::assert_snapshot!(user.types("machine regenerate-certs dev").await, @r"
    2| Regenerate TLS machine certs?  Warning: this is irreversible. (y/n): error: nothing was regenerated
    2|   hint: answer y, or give --force not to be asked
    exit 1
    ");
    assert_eq!(file(&user, "store/machines/dev/server.pem"), before);
    insta::assert_snapshot!(user.types("machine regenerate-certs -f dev").await, @r#"
    1| Machine "dev" has new certificates.
    2| Regenerating TLS certificates
    exit 0
    "#);
    assert_ne!(file(&user, "store/machines/dev/server.pem"), before);
}

#[tokio::test]
async fn one_new_ca_is_made_for_all_machines_named() {
    let user = with_dev().await;
    user.types("machine create ci").await;
    let before = file(&user, "store/certs/ca.pem");
    user.types("machine regenerate-certs -f --ca dev ci").await;
    let after = file(&user, "store/certs/ca.pem");
    assert_ne!(after, before);
    assert_eq!(file(&user, "store/machines/dev/ca.pem"), after);
    assert_eq!(file(&user, "store/machines/ci/ca.pem"), after);
}

#[tokio::test]
async fn a_certificate_is_issued_once_to_a_place() {
    let user = with_dev().await;
    let to = user.directory.path().join("guest");
    let line = format!("machine certs issue --role viewer dev {}", to.display());
    insta::assert_snapshot!(user.types(&line).await, @r"
    1| DIR/guest
    2| Whoever has the files in DIR/guest may look at everything and change nothing.
    exit 0
    ");
    insta::assert_snapshot!(user.types(&line).await, @r"
    2| error: DIR/guest/key.pem exists already
    2|   hint: choose another place, or remove it first: rm DIR/guest/key.pem
    exit 1
    ");
}

#[tokio::test]
async fn a_ca_of_the_users_own_is_taken_over_or_refused_but_never_unnoticed() {
    let user = with_dev().await;
    let other = with_dev().await;
    let ca = other.directory.path().join("store/certs/ca.pem");
    let key = other.directory.path().join("store/certs/ca-key.pem");
    let own = format!("--tls-ca-cert {} --tls-ca-key {}", ca.display(), key.display());
    insta::assert_snapshot!(user.types(&format!("machine {own} restart dev")).await.lines().next().unwrap(), @"1| Machine \"dev\" was restarted.");
    let taken = file(&user, "store/machines/dev/ca.pem");
    assert!(taken.starts_with(&fs::read_to_string(&ca).unwrap()));

    let half = user.types(&format!("machine --tls-ca-cert {} ls", ca.display())).await;
    assert!(half.ends_with("exit 2") && half.contains("both its certificate and its key"));
    let client = user.types("machine --tls-client-cert x ls").await;
    assert!(client.ends_with("exit 2") && client.contains("each machine issues its own"));
    let wrong = format!("machine --tls-ca-cert {} --tls-ca-key {} ls", ca.display(), ca.display());
    let wrong = user.types(&wrong).await;
    assert!(wrong.ends_with("exit 1") && wrong.contains("cannot be used"), "{wrong}");
}
