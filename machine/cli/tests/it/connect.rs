//! `env`, `url`, `ip`, `config`, `inspect`, `active`: what other programs read.

use crate::User;
use crate::fake::FakeDriver;

async fn with_dev() -> User {
    let user = User::new(FakeDriver::good());
    user.types("machine create dev").await;
    user
}

#[tokio::test]
async fn env_prints_lines_for_the_users_shell() {
    let user = with_dev().await;
    // The blank at the end of the hint's first line is part of the contract.
    assert_eq!(
        user.types("machine env dev").await,
        "1| export DOCKER_TLS_VERIFY=\"1\"\n\
         1| export DOCKER_HOST=\"tcp://127.0.0.1:PORT\"\n\
         1| export DOCKER_CERT_PATH=\"DIR/store/machines/dev\"\n\
         1| export DOCKER_MACHINE_NAME=\"dev\"\n\
         1| # Run this command to configure your shell: \n\
         1| # eval $(machine env dev)\n\
         exit 0"
    );
    let fish = user.types("/opt/my\\bin/docker-machine env --shell fish dev").await;
    assert!(fish.contains("1| set -gx DOCKER_MACHINE_NAME \"dev\";\n"), "{fish}");
    let hint = "1| # eval (\"/opt/my\\bin/docker-machine\" env --shell fish dev)\n";
    assert!(fish.contains(hint), "{fish}");
}

#[tokio::test]
async fn env_without_a_shell_in_the_environment_speaks_sh() {
    let user = with_dev().await.with("SHELL", "");
    assert!(user.types("machine env dev").await.starts_with("1| export "));
}

#[tokio::test]
async fn env_unsets() {
    let user = User::new(FakeDriver::good());
    assert_eq!(
        user.types("machine env -u").await,
        "1| unset DOCKER_TLS_VERIFY\n1| unset DOCKER_HOST\n1| unset DOCKER_CERT_PATH\n\
         1| unset DOCKER_MACHINE_NAME\n1| # Run this command to configure your shell: \n\
         1| # eval $(machine env -u)\nexit 0"
    );
    insta::assert_snapshot!(user.types("machine env -u dev").await, @r"
    2| error: Expected no machine name when the -u flag is present
    2|   hint: leave the name away: the variables are the same for all
    exit 2
    ");
}

#[tokio::test]
async fn env_takes_the_machine_out_of_the_proxys_hands() {
    let user = with_dev().await;
    let seen = user.types("machine env --no-proxy dev").await;
    assert!(seen.contains("1| export NO_PROXY=\"127.0.0.1\"\n"), "{seen}");
    let user = user.with("no_proxy", "example.com");
    let seen = user.types("machine env --no-proxy dev").await;
    assert!(seen.contains("1| export no_proxy=\"example.com,127.0.0.1\"\n"), "{seen}");
    let user = user.with("no_proxy", "127.0.0.1,x");
    let seen = user.types("machine env --no-proxy dev").await;
    assert!(seen.contains("1| export no_proxy=\"127.0.0.1,x\"\n"), "{seen}");
}

#[tokio::test]
async fn env_refuses_what_it_cannot_say() {
    let user = with_dev().await;
    insta::assert_snapshot!(user.types("machine env --shell rc dev").await, @r#"
    2| error: Unknown shell "rc"
    2|   hint: give one of these to --shell: bash, zsh, sh, fish, powershell, cmd, tcsh, emacs, nu, elvish, xonsh, json, dotenv, github
    exit 2
    "#);
    insta::assert_snapshot!(user.types("machine env dev dev").await, @r"
    2| error: Expected one machine name as an argument
    2|   hint: docker talks to one machine at a time
    exit 2
    ");
    user.types("machine stop dev").await;
    for command in ["env", "url", "ip", "config", "ssh", "version"] {
        let seen = user.types(&format!("machine {command} dev")).await;
        assert_eq!(
            seen,
            "2| error: Host is not running: machine \"dev\" is stopped\n\
             2|   hint: start it: machine start dev\nexit 5",
            "{command}"
        );
    }
}

#[tokio::test]
async fn addresses_are_one_line_each() {
    let user = with_dev().await;
    assert_eq!(user.types("machine url dev").await, "1| tcp://127.0.0.1:PORT\nexit 0");
    assert_eq!(user.types("machine ip dev").await, "1| 127.0.0.1\nexit 0");
    insta::assert_snapshot!(user.types("machine config dev").await, @r"
    1| --tlsverify
    1| --tlscacert=DIR/store/machines/dev/ca.pem
    1| --tlscert=DIR/store/machines/dev/cert.pem
    1| --tlskey=DIR/store/machines/dev/key.pem
    1| -H=tcp://127.0.0.1:PORT
    exit 0
    ");
}

#[tokio::test]
async fn the_active_machine_is_the_one_in_docker_host() {
    let user = with_dev().await;
    insta::assert_snapshot!(user.types("machine active").await, @r#"
    2| error: No active host found
    2|   hint: choose one in this shell: eval "$(machine env NAME)"
    exit 1
    "#);
    let port = user.driver.started.lock().unwrap()[0].api_port;
    let user = user.with("DOCKER_HOST", &format!("tcp://127.0.0.1:{port}"));
    assert_eq!(user.types("machine active").await, "1| dev\nexit 0");
    assert!(user.types("machine ls").await.contains("1| dev    *        qemu"));
}

#[tokio::test]
async fn inspect_keeps_the_places_that_scripts_look_at() {
    let user = with_dev().await;
    let seen = user.types("machine inspect dev").await;
    let json: String =
        seen.lines().filter_map(|line| line.strip_prefix("1| ")).collect::<Vec<_>>().join("\n");
    let json = json.replace("PORT", "1");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["Driver"]["IPAddress"], "127.0.0.1");
    assert_eq!(value["Driver"]["Memory"], 1024);
    assert_eq!(value["DriverName"], "qemu");
    assert_eq!(value["Name"], "dev");
    assert_eq!(value["State"], "Running");
    assert_eq!(value["HostOptions"]["AuthOptions"]["StorePath"], "DIR/store/machines/dev");
    assert!(json.contains("\n    \"Driver\": {\n        \""), "four blanks");
}
