//! The user's file before and after.

use std::process::Command;

use super::*;

const USERS: &[u8] = b"# mine \xff\nHost *\n  User me\n";

struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join(".ssh/config")
    }

    fn included(&self) -> PathBuf {
        self.directory.path().join("store [1]/ssh_config")
    }

    fn write(&self, content: &[u8], mode: u32) {
        std::fs::create_dir_all(self.directory.path().join(".ssh")).unwrap();
        std::fs::write(self.config(), content).unwrap();
        std::fs::set_permissions(self.config(), Permissions::from_mode(mode)).unwrap();
    }

    fn mode(&self) -> u32 {
        self.config().metadata().unwrap().permissions().mode() & 0o777
    }
}

#[test]
fn the_line_comes_first_once_and_goes_again_without_a_trace() {
    let home = Home::new();
    home.write(USERS, 0o640);
    assert_eq!(install(&home.config(), &home.included()).unwrap(), Change::Made);
    let installed = std::fs::read(home.config()).unwrap();
    let line = line(&home.included()).unwrap();
    assert_eq!(installed, [line.as_bytes(), b"\n", USERS].concat());
    assert_eq!(install(&home.config(), &home.included()).unwrap(), Change::None);
    assert_eq!(std::fs::read(home.config()).unwrap(), installed);
    assert_eq!(home.mode(), 0o640);
    assert_eq!(uninstall(&home.config(), &home.included()).unwrap(), Change::Made);
    assert_eq!(std::fs::read(home.config()).unwrap(), USERS);
    assert_eq!(uninstall(&home.config(), &home.included()).unwrap(), Change::None);
    assert_eq!(home.mode(), 0o640);
}

#[test]
fn a_user_without_a_configuration_gets_a_private_one() {
    let home = Home::new();
    assert_eq!(uninstall(&home.config(), &home.included()).unwrap(), Change::None);
    assert!(!home.config().exists());
    install(&home.config(), &home.included()).unwrap();
    assert_eq!(home.mode(), 0o600);
    let directory = home.directory.path().join(".ssh").metadata().unwrap();
    assert_eq!(directory.permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_line_within_somebody_s_host_does_not_count() {
    let home = Home::new();
    let line = line(&home.included()).unwrap();
    home.write(format!("Host x\n  {line}\n").as_bytes(), 0o600);
    assert_eq!(install(&home.config(), &home.included()).unwrap(), Change::Made);
    assert!(std::fs::read_to_string(home.config()).unwrap().starts_with(&line));
}

#[test]
fn a_link_to_the_configuration_stays_a_link() {
    let home = Home::new();
    home.write(b"", 0o600);
    let elsewhere = home.directory.path().join("dotfiles");
    std::fs::rename(home.config(), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, home.config()).unwrap();
    install(&home.config(), &home.included()).unwrap();
    assert!(home.config().is_symlink());
    assert!(std::fs::read_to_string(elsewhere).unwrap().starts_with("Include "));
}

#[test]
fn ssh_follows_the_line() {
    let home = Home::new();
    home.write(b"Host *\n  Port 1\n", 0o600);
    std::fs::create_dir(home.included().parent().unwrap()).unwrap();
    std::fs::write(home.included(), "Host dev.machine\n  Port 2\n").unwrap();
    install(&home.config(), &home.included()).unwrap();
    let mut ssh = Command::new("ssh");
    let output = ssh.arg("-G").arg("-F").arg(home.config()).arg("dev.machine").output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("port 2\n"), "{:?}", output.stderr);
}
