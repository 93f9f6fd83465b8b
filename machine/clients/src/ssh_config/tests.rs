//! The configuration as ssh itself reads it.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use ssh_key::private::Ed25519Keypair;

use super::*;

struct User {
    _directory: tempfile::TempDir,
    places: Places,
}

impl User {
    /// With a storage root that has all that may be difficult in a path.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let storage = directory.path().join("a \"b\" %h \\ ü");
        let docker_config = directory.path().join("docker");
        Store::open(&storage).unwrap();
        Self { _directory: directory, places: Places { docker_config, storage } }
    }

    fn machine(&self, name: &str, port: u16) -> Endpoint {
        let paths = Store::open(&self.places.storage).unwrap().paths(name);
        std::fs::create_dir_all(paths.directory()).unwrap();
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]));
        let pem = key.to_openssh(ssh_key::LineEnding::LF).unwrap();
        std::fs::write(paths.ssh_host_key(), pem).unwrap();
        Endpoint {
            name: name.to_owned(),
            url: "tcp://127.0.0.1:1".to_owned(),
            ca_certificate: paths.authority_certificate(),
            client_certificate: paths.client_certificate(),
            client_key: paths.client_key(),
            ssh: Some(SshEndpoint {
                port,
                login_key: paths.ssh_key(),
                known_hosts: paths.known_hosts(),
            }),
        }
    }

    /// What ssh makes of the written file.
    fn asked(&self, host: &str) -> String {
        let output = Command::new("ssh")
            .arg("-G")
            .arg("-F")
            .arg(file(&self.places.storage))
            .arg(host)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn ssh_reads_what_is_written() {
    let user = User::new();
    let machines = [user.machine("dev", 2201), user.machine("Dev.2", 2202)];
    assert!(sync(&machines, &user.places).is_empty());
    for (machine, port) in [("dev", "2201"), ("Dev.2", "2202")] {
        let paths = Store::open(&user.places.storage).unwrap().paths(machine);
        let seen = user.asked(&format!("{machine}.machine"));
        // ssh shows this path before it replaces anything in it, and the other one after.
        let login_key = paths.ssh_key().to_str().unwrap().replace('%', "%%");
        let known_hosts = paths.known_hosts().to_str().unwrap().to_owned();
        for line in [
            "hostname 127.0.0.1".to_owned(),
            format!("port {port}"),
            "user root".to_owned(),
            "identitiesonly yes".to_owned(),
            "stricthostkeychecking true".to_owned(),
            format!("hostkeyalias {}.machine", machine.to_lowercase()),
            format!("identityfile {login_key}"),
            format!("userknownhostsfile {known_hosts}"),
        ] {
            assert!(seen.lines().any(|known| known == line), "{line}\n{seen}");
        }
    }
    assert!(user.asked("dev.example.com").contains("hostname dev.example.com\n"));
}

#[test]
fn the_server_s_key_is_found_under_the_machine_s_name() {
    let user = User::new();
    let machine = user.machine("Dev", 2201);
    assert!(sync(std::slice::from_ref(&machine), &user.places).is_empty());
    let known_hosts = &machine.ssh.unwrap().known_hosts;
    let found =
        Command::new("ssh-keygen").args(["-F", "dev.machine", "-f"]).arg(known_hosts).output();
    let found = String::from_utf8(found.unwrap().stdout).unwrap();
    assert!(found.contains("dev.machine ssh-ed25519 AAAA"), "{found}");
    assert_eq!(known_hosts.metadata().unwrap().mode() & 0o777, 0o600);
}

#[test]
fn what_is_right_is_not_written_again_and_what_is_gone_goes() {
    let user = User::new();
    let machines = [user.machine("a", 1), user.machine("b", 2)];
    sync(&machines, &user.places);
    let path = file(&user.places.storage);
    let before = path.metadata().unwrap().ino();
    sync(&machines, &user.places);
    assert_eq!(path.metadata().unwrap().ino(), before);
    sync(&machines[1..], &user.places);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("a.machine") && text.contains("b.machine"), "{text}");
}

#[test]
fn one_machine_that_is_broken_does_not_hide_the_others() {
    let user = User::new();
    let machines = [user.machine("broken", 1), user.machine("good", 2)];
    let key = Store::open(&user.places.storage).unwrap().paths("broken").ssh_host_key();
    std::fs::write(key, "rubbish").unwrap();
    let errors = sync(&machines, &user.places);
    assert!(matches!(errors[..], [Error::HostKey { .. }]), "{errors:?}");
    assert!(user.asked("good.machine").contains("port 2\n"));
}

#[test]
fn without_machines_nothing_is_written() {
    let user = User::new();
    assert!(sync(&[], &user.places).is_empty());
    assert!(!file(&user.places.storage).exists());
}

#[test]
fn a_path_that_ssh_cannot_be_told_is_an_error() {
    assert!(matches!(quoted(Path::new("/a\nb")), Err(Error::Unnameable { .. })));
    assert!(matches!(quoted(Path::new("/${HOME}")), Err(Error::Unnameable { .. })));
}
