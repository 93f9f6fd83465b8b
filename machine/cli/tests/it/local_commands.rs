//! `exec` and `run`: commands of this computer with a machine's environment. What replaces or ends
//! its process is tried in a process of its own, with the same fake driver.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use machine_cli::{Ui, World, run};
use machine_lifecycle::Capacity;
use machine_store::Lock;

use crate::User;
use crate::fake::FakeDriver;

/// The line that the other process runs.
const LINE: &str = "MACHINE_TEST_LINE";
/// What it is itself.
const PROGRAM: &str = "MACHINE_TEST_PROGRAM";

#[tokio::test]
#[ignore = "the process that other tests start"]
async fn another_process() {
    let world = World {
        arguments: std::env::var(LINE).unwrap().split(' ').map(str::to_owned).collect(),
        variables: std::env::vars().collect(),
        executable: std::env::var(PROGRAM).unwrap().into(),
        driver: Arc::new(FakeDriver::good()),
        capacity: |_| Capacity { cpus: 4, memory_mib: Some(4096), disk_mib: Some(100_000) },
        ui: Ui::of_process(),
    };
    let code = run(world).await;
    std::process::exit(code.into());
}

/// Types a line in another process.
fn types_elsewhere(user: &User, line: &str, program: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "local_commands::another_process", "--ignored", "--nocapture"])
        .envs(&user.variables)
        .env(LINE, line)
        .env(PROGRAM, program)
        .env("DOCKER_CONTEXT", "another")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(fs::File::create(user.directory.path().join("stderr")).unwrap())
        .spawn()
        .unwrap()
}

fn script(user: &User, text: &str) -> PathBuf {
    let path = user.directory.path().join("script");
    fs::write(&path, text).unwrap();
    path
}

fn read(user: &User, name: &str) -> String {
    fs::read_to_string(user.directory.path().join(name)).unwrap()
}

async fn with_dev() -> User {
    let user = User::new(FakeDriver::good());
    user.types("machine create dev").await;
    user
}

fn exec(user: &User, command: &str) -> ExitStatus {
    let line = format!("machine exec dev -- {command}");
    types_elsewhere(user, &line, Path::new("/bin/true")).wait().unwrap()
}

#[tokio::test]
async fn exec_sets_the_variables_and_removes_the_one_that_would_win() {
    let user = with_dev().await;
    let script =
        script(&user, "cd \"${0%/*}\"\nenv | grep ^DOCKER_ | sort > seen\necho \"$@\" >> seen\n");
    let status = exec(&user, &format!("/bin/sh {} --verbose -x", script.display()));
    assert!(status.success(), "{}", read(&user, "stderr"));
    assert_eq!(
        user.steady(&read(&user, "seen")),
        "DOCKER_CERT_PATH=DIR/store/machines/dev\nDOCKER_HOST=tcp://127.0.0.1:PORT\n\
         DOCKER_MACHINE_NAME=dev\nDOCKER_TLS_VERIFY=1\n--verbose -x\n"
    );
}

#[tokio::test]
async fn exec_ends_as_the_command_ends() {
    let user = with_dev().await;
    for code in [0, 1, 7, 125, 255] {
        let script = script(&user, &format!("exit {code}"));
        let status = exec(&user, &format!("/bin/sh {}", script.display()));
        assert_eq!(status.code(), Some(code));
    }
    // The process has become the command, so it dies of the signal itself.
    let script = script(&user, "kill -TERM $$");
    let status = exec(&user, &format!("/bin/sh {}", script.display()));
    assert_eq!(status.signal(), Some(15));
}

#[tokio::test]
async fn exec_tells_a_missing_command_from_one_that_cannot_run() {
    let user = with_dev().await;
    assert_eq!(exec(&user, "no-such-command").code(), Some(127));
    assert!(read(&user, "stderr").contains("no-such-command could not be run"));
    let script = script(&user, "exit 0");
    assert_eq!(exec(&user, &script.display().to_string()).code(), Some(126));
}

#[tokio::test]
async fn exec_needs_a_command_and_a_machine_that_runs() {
    let user = with_dev().await;
    assert!(user.types("machine exec dev").await.ends_with("exit 2"));
    assert!(user.types("machine exec nope -- true").await.ends_with("exit 4"));
    user.types("machine stop dev").await;
    assert!(user.types("machine exec dev -- true").await.ends_with("exit 5"));
}

/// A program that ends at once, in the place of the process that waits for the end of `run`.
fn with_idle_watcher() -> User {
    let user = User::new(FakeDriver::good());
    fs::create_dir(user.directory.path().join("bin")).unwrap();
    std::os::unix::fs::symlink("/bin/true", user.directory.path().join("bin/machine")).unwrap();
    user
}

#[tokio::test]
async fn run_leaves_nothing_but_the_status() {
    let user = with_idle_watcher();
    let script = script(&user, "cd \"${0%/*}\"; echo $DOCKER_MACHINE_NAME > seen; exit 7");
    let seen = user.types(&format!("machine run --rm -- /bin/sh {}", script.display())).await;
    assert!(seen.ends_with("exit 7"), "{seen}");
    assert!(!seen.contains("1| "), "stdout is the command's: {seen}");
    assert!(read(&user, "seen").starts_with("run-"));
    assert_eq!(user.left(), 0);
    let script = self::script(&user, "kill -KILL $$");
    let seen = user.types(&format!("machine run -- /bin/sh {}", script.display())).await;
    assert!(seen.ends_with("exit 137"), "{seen}");
    let seen = user.types("machine run -- no-such-command").await;
    assert!(seen.ends_with("exit 127"), "{seen}");
    assert_eq!(user.left(), 0);
}

#[tokio::test]
async fn run_makes_the_machine_that_is_asked_for_or_nothing() {
    let user = with_idle_watcher();
    let seen = user.types("machine run --memory 512 --cpu-count 1 -- true").await;
    assert!(seen.ends_with("exit 0"), "{seen}");
    let started = user.driver.started.lock().unwrap().clone();
    assert_eq!((started[0].memory_mib, started[0].cpus), (512, 1));
    assert!(user.types("machine run --memory 16 -- true").await.ends_with("exit 3"));
    assert_eq!(user.left(), 0);
}

#[tokio::test]
async fn a_machine_whose_run_is_gone_is_removed_by_the_next_command() {
    let user = User::new(FakeDriver::good());
    user.types("machine create run-1").await;
    user.types("machine create keep").await;
    let mark = user.directory.path().join("store/machines/.run-1.ephemeral");
    let held = Lock::try_exclusive(&mark).unwrap();
    assert_eq!(user.types("machine ls -q").await, "1| keep\n1| run-1\nexit 0");
    drop(held);
    assert_eq!(user.types("machine ls -q").await, "1| keep\nexit 0");
    assert!(!mark.exists());
}

/// Starts a `run` whose command has begun, and says how the test can know.
async fn begun(user: &User, text: &str) -> Child {
    let fifo = user.directory.path().join("begun");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    let script = script(user, &format!("{text}\necho > \"${{0%/*}}/begun\"\nwait"));
    let line = format!("machine run -- /bin/sh {}", script.display());
    let child = types_elsewhere(user, &line, Path::new(env!("CARGO_BIN_EXE_machine")));
    // The other end is opened by the script.
    tokio::task::spawn_blocking(move || fs::read(fifo)).await.unwrap().unwrap();
    child
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).unwrap();
}

#[tokio::test]
async fn run_passes_on_what_asks_it_to_end_and_then_removes_the_machine() {
    use rustix::process::Signal;
    for (name, number) in [("TERM", Signal::TERM), ("HUP", Signal::HUP)] {
        let user = User::new(FakeDriver::good());
        let mut child = begun(&user, &format!("trap 'exit 9' {name}\nsleep 60 &")).await;
        signal(&child, number);
        assert_eq!(child.wait().unwrap().code(), Some(9), "{}", read(&user, "stderr"));
        assert_eq!(names(&user), Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn the_machine_of_a_run_that_is_killed_goes_without_another_command() {
    let user = User::new(FakeDriver::good());
    let mut child = begun(&user, "sleep 60 &").await;
    assert_eq!(names(&user).len(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    // It is no child of ours that removes it: there is nothing to wait for but the result.
    let end = Instant::now() + Duration::from_secs(60);
    while !names(&user).is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(names(&user), Vec::<String>::new());
}

/// Machines, and marks of machines that end with their command.
fn names(user: &User) -> Vec<String> {
    fs::read_dir(user.directory.path().join("store/machines"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') || name.ends_with(".ephemeral"))
        .filter(|name| !name.ends_with(".ephemeral"))
        .collect()
}
