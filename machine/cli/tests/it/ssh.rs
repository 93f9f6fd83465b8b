//! `ssh`, `scp`, `mount` and `ssh-config`: what other programs are told.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use crate::User;
use crate::fake::FakeDriver;

/// A user with a machine `dev` and with programs that note their arguments and exit with 9.
async fn with_programs(programs: &[&str]) -> User {
    let user = User::new(FakeDriver::good());
    let directory = user.directory.path().join("programs");
    std::fs::create_dir(&directory).unwrap();
    for program in programs {
        let path = directory.join(program);
        let seen = seen(&user);
        let script = format!("#!/bin/sh\nprintf '%s ' \"$@\" >'{}'\nexit 9\n", seen.display());
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let home = user.directory.path().join("home").display().to_string();
    let user = user.with("PATH", directory.to_str().unwrap()).with("HOME", &home);
    user.types("machine create dev").await;
    user
}

fn seen(user: &User) -> PathBuf {
    user.directory.path().join("seen")
}

fn noted(user: &User) -> String {
    user.steady(&std::fs::read_to_string(seen(user)).unwrap())
}

#[tokio::test]
async fn options_of_ssh_go_to_the_ssh_program_with_all_that_follows() {
    let user = with_programs(&["ssh"]).await;
    assert_eq!(user.types("machine ssh dev -D 1080 -N").await, "exit 9");
    assert_eq!(noted(&user), "-F DIR/store/ssh_config dev.machine -D 1080 -N ");
    let seen = user.types("machine --native-ssh ssh dev -N").await;
    assert!(seen.contains("-N is an option of the ssh program"), "{seen}");
    assert!(seen.ends_with("exit 2"), "{seen}");
    let seen = user.types("machine ssh -L 1:a:2 dev").await;
    assert!(seen.contains("-L is no option of this command"), "{seen}");
}

#[tokio::test]
async fn scp_is_told_where_the_machine_is() {
    let user = with_programs(&["scp"]).await;
    assert_eq!(user.types("machine scp -r -q dev:/etc localhost:a:b").await, "exit 9");
    assert_eq!(noted(&user), "-F DIR/store/ssh_config -3 -s -q -r -- dev.machine:/etc ./a:b ");
    user.types("machine create other").await;
    user.types("machine scp docker@dev:x other:y").await;
    assert_eq!(
        noted(&user),
        "-F DIR/store/ssh_config -3 -s -- docker@dev.machine:x other.machine:y "
    );
}

#[tokio::test]
async fn scp_and_mount_refuse_before_anything_is_run() {
    let user = with_programs(&["scp", "sshfs"]).await;
    for (line, text, code) in [
        ("machine scp a", "Improper number of arguments", 2),
        ("machine scp a b c", "Improper number of arguments", 2),
        ("machine mount", "Improper number of arguments", 2),
        ("machine scp nope:/a b", "Docker machine \"nope\" does not exist", 4),
        ("machine mount nope:/a b", "Docker machine \"nope\" does not exist", 4),
        ("machine mount /a b", "No machine name(s) specified", 2),
        (
            "machine scp -d a dev:b",
            "You must have a copy of the rsync binary locally to use the --delta option",
            1,
        ),
        (
            "machine mount -u b",
            "You must have a copy of the fusermount binary locally to use the unmount option",
            1,
        ),
    ] {
        let shown = user.types(line).await;
        assert!(shown.contains(&format!("2| error: {text}")), "{line}: {shown}");
        assert!(shown.ends_with(&format!("exit {code}")), "{line}: {shown}");
    }
    let nothing = user.with("PATH", "/nonexistent");
    for (line, program, feature) in
        [("machine scp a dev:b", "scp", "scp"), ("machine mount dev:/a b", "sshfs", "mount")]
    {
        let text =
            format!("You must have a copy of the {program} binary locally to use the {feature} ");
        let shown = nothing.types(line).await;
        assert!(shown.contains(&text), "{line}: {shown}");
    }
    nothing.types("machine stop dev").await;
    assert!(!seen(&nothing).exists());
}

#[tokio::test]
async fn files_of_a_stopped_machine_cannot_be_had() {
    let user = with_programs(&["scp", "sshfs"]).await;
    user.types("machine stop dev").await;
    for line in ["machine scp dev:a b", "machine mount dev:/a /b", "machine ssh dev -N"] {
        let shown = user.types(line).await;
        assert!(shown.contains("is stopped") && shown.ends_with("exit 5"), "{line}: {shown}");
    }
}

#[tokio::test]
async fn mount_runs_sshfs_and_unmount_needs_no_machine() {
    let user = with_programs(&["sshfs", "fusermount"]).await;
    assert_eq!(user.types("machine mount dev:/root /mnt").await, "exit 9");
    let told = noted(&user);
    assert!(told.starts_with("-F DIR/store/ssh_config -o idmap=user,"), "{told}");
    assert!(told.ends_with(" dev.machine:/root /mnt "), "{told}");
    user.types("machine mount dev:/root").await;
    assert!(noted(&user).ends_with(" dev.machine:/root /root "));
    assert_eq!(user.types("machine mount -u gone:/root /mnt").await, "exit 9");
    assert_eq!(noted(&user), "-u /mnt ");
    user.types("machine mount -u dev:/root").await;
    assert_eq!(noted(&user), "-u /root ");
}

#[tokio::test]
async fn ssh_config_is_what_ssh_reads_of_machines_that_run_and_that_do_not() {
    let user = with_programs(&[]).await;
    user.types("machine create other").await;
    user.types("machine stop other").await;
    let shown = user.types("machine ssh-config").await;
    assert!(shown.contains("1| Host dev.machine\n") && shown.contains("1| Host other.machine\n"));
    let other = user.types("machine ssh-config other").await;
    assert!(!other.contains("dev.machine"), "{other}");

    let text: String =
        shown.lines().filter_map(|line| line.strip_prefix("1| ")).collect::<Vec<_>>().join("\n");
    let text = text.replace("DIR", user.directory.path().to_str().unwrap());
    let file = user.directory.path().join("config");
    std::fs::write(&file, text).unwrap();
    let ssh = Command::new("ssh").arg("-G").arg("-F").arg(file).arg("other.machine").output();
    let ssh = String::from_utf8(ssh.unwrap().stdout).unwrap();
    assert!(user.steady(&ssh).contains("identityfile DIR/store/machines/other/id_ed25519\n"));
    let known_hosts = user.directory.path().join("store/machines/other/known_hosts");
    let known_hosts = std::fs::read_to_string(known_hosts).unwrap();
    assert!(known_hosts.starts_with("other.machine ssh-ed25519 "), "{known_hosts}");
    assert!(user.types("machine ssh-config nope").await.ends_with("exit 4"));
}

#[tokio::test]
async fn ssh_config_is_included_once_and_taken_out_again() {
    let user = with_programs(&[]).await;
    let config = user.directory.path().join("home/.ssh/config");
    let shown = user.types("machine ssh-config --install").await;
    assert_eq!(shown, "1| DIR/home/.ssh/config now includes DIR/store/ssh_config\nexit 0");
    let line = format!("Include \"{}/store/ssh_config\"\n", user.directory.path().display());
    assert_eq!(std::fs::read_to_string(&config).unwrap(), line);
    let again = user.types("machine ssh-config --install").await;
    assert!(again.contains("includes already"), "{again}");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), line);
    let gone = user.types("machine ssh-config --uninstall").await;
    assert!(gone.contains("no longer includes"), "{gone}");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "");
}
