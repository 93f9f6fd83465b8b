//! The server with OpenSSH's own clients.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tempfile::TempDir;
use tokio::process::Command;

use super::*;

/// A machine and the configuration that finds it under the name `dev`.
pub(super) struct Reachable {
    pub(super) directory: TempDir,
    _machine: Machine,
}

impl Reachable {
    pub(super) async fn start() -> Self {
        let machine = Machine::start().await;
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("key");
        std::fs::write(&key, machine.key.to_openssh(Default::default()).unwrap()).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let config = format!(
            "Host dev\n HostName 127.0.0.1\n Port {}\n User root\n IdentityFile {}\n \
             IdentitiesOnly yes\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n \
             LogLevel ERROR\n BatchMode yes\n",
            machine.address.port(),
            key.display()
        );
        std::fs::write(directory.path().join("config"), config).unwrap();
        Reachable { directory, _machine: machine }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .arg("-F")
            .arg(self.path("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn done(command: &mut Command) -> Output {
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    output
}

/// Everything below a directory: path, mode, time of change and content.
fn tree(root: &Path) -> Vec<(PathBuf, u32, i64, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = path.metadata().unwrap();
        let content = metadata.is_file().then(|| std::fs::read(&path).unwrap());
        if metadata.is_dir() {
            left.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        }
        let name = path.strip_prefix(root).unwrap().to_owned();
        found.push((name, metadata.mode(), metadata.mtime(), content));
    }
    found.sort();
    found
}

#[tokio::test]
async fn ssh_passes_the_exit_status_and_both_streams() {
    let machine = Reachable::start().await;
    let output =
        machine.command("ssh").args(["dev", "echo out; echo err >&2; exit 7"]).output().await;
    let output = output.unwrap();
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("out\n".into(), "err\n".into()));
    assert_eq!(output.status.code(), Some(7));
}

#[tokio::test]
async fn scp_copies_trees_with_modes_and_times_both_ways() {
    let machine = Reachable::start().await;
    let source = machine.path("source");
    std::fs::create_dir_all(source.join("with blank/empty")).unwrap();
    std::fs::write(source.join("with blank/run"), "#!/bin/sh\n").unwrap();
    let run = std::fs::Permissions::from_mode(0o751);
    std::fs::set_permissions(source.join("with blank/run"), run).unwrap();
    // More than one request's worth, and no multiple of anything.
    std::fs::write(source.join("big"), vec![7; 3_000_001]).unwrap();
    std::fs::write(source.join(OsStr::from_bytes(b"not \xff utf-8")), "x").unwrap();
    let old = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let big = std::fs::File::options().append(true).open(source.join("big")).unwrap();
    big.set_modified(old).unwrap();

    let there = format!("dev:{}", machine.path("there").display());
    done(machine.command("scp").arg("-rpq").arg(&source).arg(&there)).await;
    done(machine.command("scp").arg("-rpq").arg(&there).arg(machine.path("back"))).await;
    assert_eq!(tree(&machine.path("there")), tree(&source));
    assert_eq!(tree(&machine.path("back")), tree(&source));
}

#[tokio::test]
async fn scp_says_why_it_cannot() {
    let machine = Reachable::start().await;
    let missing = format!("dev:{}", machine.path("missing").display());
    let output = machine.command("scp").arg(missing).arg(machine.path("x")).output().await;
    let output = output.unwrap();
    assert!(text(&output.stderr).contains("No such file or directory"), "{output:?}");
    assert!(!output.status.success());
}

#[tokio::test]
async fn every_command_of_sftp_does_what_it_says() {
    let machine = Reachable::start().await;
    std::fs::write(machine.path("local"), "content").unwrap();
    std::fs::write(
        machine.path("batch"),
        format!(
            "cd {directory}\nlcd {directory}\nmkdir d\nput local d/a\nput -f local d/synced\n\
         cp d/a d/copy\nrename d/a d/b\nln d/b d/hard\nln -s b d/soft\nchmod 600 d/b\n\
         put local d/old\nrename d/copy d/old\nput local d/gone\nrm d/gone\nmkdir d/sub\n\
         rmdir d/sub\nget d/soft fetched\ndf d\nls -la d\npwd\n",
            directory = machine.directory.path().display()
        ),
    )
    .unwrap();
    let mut sftp = machine.command("sftp");
    let output = done(sftp.arg("-b").arg(machine.path("batch")).arg("dev")).await;
    let output = text(&output.stdout);

    let at = |name: &str| machine.path("d").join(name);
    let mut names: Vec<_> =
        at("").read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["b", "hard", "old", "soft", "synced"]);
    for name in names {
        assert_eq!(std::fs::read_to_string(at(name.to_str().unwrap())).unwrap(), "content");
    }
    assert_eq!(at("b").metadata().unwrap().mode() & 0o7777, 0o600);
    assert_eq!(at("b").metadata().unwrap().ino(), at("hard").metadata().unwrap().ino());
    assert_eq!(std::fs::read_link(at("soft")).unwrap(), Path::new("b"));
    assert_eq!(std::fs::read_to_string(machine.path("fetched")).unwrap(), "content");
    assert!(output.contains("-rw-------    2 root     root            7 "), "{output}");
    assert!(output.contains("%Capacity"), "{output}");
}

#[tokio::test]
async fn a_pipe_of_commands_works_as_editors_use_it() {
    let machine = Reachable::start().await;
    let from = machine.path("from");
    std::fs::create_dir_all(from.join("deep")).unwrap();
    std::fs::write(from.join("deep/file"), vec![3; 1_000_000]).unwrap();
    let to = machine.path("to");
    let script = "tar -C \"$1\" -cf - . | ssh -F \"$2\" dev \"mkdir -p '$3' && tar -C '$3' -xf -\"";
    let mut command = Command::new("sh");
    let arguments =
        [from.as_os_str(), machine.path("config").as_os_str(), to.as_os_str()].map(OsStr::to_owned);
    done(command.args(["-c", script, "sh"]).args(arguments)).await;
    assert_eq!(tree(&to), tree(&from));
}
