//! The store against a real directory: creation is all or nothing, locks end with their holder.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use machine_store::atomic::Access;
use machine_store::{Draft, Error, MachineRecord, Ports, Presence, Store};

fn record(ports: Ports) -> MachineRecord {
    MachineRecord {
        driver: "qemu".into(),
        cpus: 1,
        memory_mib: 1024,
        disk_size_mib: 20_000,
        acceleration: "auto".into(),
        ports,
        tls_names: Vec::new(),
        url: None,
        engine: machine_store::EngineRecord::default(),
        swarm: None,
    }
}

fn draft(store: &Store, name: &str) -> (machine_store::Lock, Draft) {
    let lock = store.lock(name).unwrap();
    let draft = store.begin(&lock, name).unwrap();
    draft.write(&draft.paths().client_key(), "secret", Access::Owner).unwrap();
    (lock, draft)
}

fn create(store: &Store, name: &str) -> Ports {
    let (_lock, draft) = draft(store, name);
    let ports = draft.describe(record).unwrap().ports;
    draft.commit().unwrap().finish().unwrap();
    ports
}

#[test]
fn a_created_machine_is_listed_and_its_record_reads_back() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let ports = create(&store, "dev");
    assert_eq!(store.names().unwrap(), ["dev"]);
    assert_eq!(store.presence("dev"), Presence::Complete);
    assert_eq!(store.record("dev").unwrap(), record(ports));
}

#[test]
fn directories_and_keys_are_for_the_user_alone() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().join("store");
    let store = Store::open(&root).unwrap();
    create(&store, "dev");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for path in [&root, &root.join("certs"), &root.join("machines"), &root.join("machines/dev")] {
        assert_eq!(mode(path), 0o700, "{path:?}");
    }
    assert_eq!(mode(&store.paths("dev").client_key()), 0o600);
    assert_eq!(mode(&store.paths("dev").record()), 0o600);

    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
    Store::open(&root).unwrap();
    assert_eq!(mode(&root), 0o700);
}

#[test]
fn an_abandoned_draft_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let (lock, begun) = draft(&store, "dev");
    drop(begun);
    lock.remove();
    assert_eq!(store.presence("dev"), Presence::Absent);
    assert_eq!(std::fs::read_dir(root.path().join("machines")).unwrap().count(), 0);
}

#[test]
fn a_removed_machine_leaves_nothing_and_its_name_is_free() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    create(&store, "dev");
    let lock = store.lock("dev").unwrap();
    store.remove(&lock, "dev").unwrap();
    lock.remove();
    assert_eq!(std::fs::read_dir(root.path().join("machines")).unwrap().count(), 0);
    create(&store, "dev");
}

#[test]
fn a_machine_is_changed_by_one_command_at_a_time() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let lock = store.lock("dev").unwrap();
    assert!(matches!(store.lock("dev"), Err(Error::Locked { .. })));
    let _other = store.lock("other").unwrap();
    drop(lock);
    let _again = lock_past_forks(&store, "dev");
}

#[test]
fn twenty_machines_created_at_once_have_ports_of_their_own() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let ports: Vec<Ports> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20)
            .map(|n| {
                scope.spawn({
                    let store = &store;
                    move || create(store, &format!("m{n}"))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let distinct: HashSet<u16> = ports.iter().flat_map(|ports| [ports.api, ports.ssh]).collect();
    assert_eq!(distinct.len(), 40);
    assert!(!distinct.contains(&0));
}

#[test]
fn a_port_that_somebody_listens_on_is_not_chosen() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let first = create(&store, "a");
    let lock = lock_past_forks(&store, "a");
    store.remove(&lock, "a").unwrap();
    lock.remove();
    let _listener = std::net::TcpListener::bind(("127.0.0.1", first.ssh)).unwrap();
    assert_ne!(create(&store, "a"), first);
}

/// Other tests of this program start processes, and between fork and exec those hold every lock of
/// this one.
fn lock_past_forks(store: &Store, name: &str) -> machine_store::Lock {
    let begun = std::time::Instant::now();
    loop {
        match store.lock(name) {
            Ok(lock) => return lock,
            Err(error) => assert!(begun.elapsed().as_secs() < 60, "{error}"),
        }
    }
}

/// Runs [`killed_child`] up to a stage, kills it there with SIGKILL.
fn kill_at(stage: &str, root: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed_child", "--nocapture"])
        .env("STORE_TEST_STAGE", stage)
        .env("STORE_TEST_ROOT", root)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("here")), "never at {stage}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Not a rule of its own: the process that [`kill_at`] kills. Does nothing when run as a test.
#[test]
fn killed_child() {
    let (Ok(stage), Ok(root)) =
        (std::env::var("STORE_TEST_STAGE"), std::env::var("STORE_TEST_ROOT"))
    else {
        return;
    };
    let here = || -> ! {
        println!("here");
        loop {
            std::thread::park();
        }
    };
    let store = Store::open(Path::new(&root)).unwrap();
    let (lock, draft) = draft(&store, "dev");
    if stage == "draft" {
        here();
    }
    draft.describe(record).unwrap();
    if stage == "described" {
        here();
    }
    let machine = draft.commit().unwrap();
    if stage == "committed" {
        here();
    }
    machine.finish().unwrap();
    store.remove(&lock, "dev").unwrap();
    here();
}

#[test]
fn a_creation_killed_at_any_moment_leaves_a_name_that_can_be_used() {
    for (stage, left) in [
        ("draft", Presence::Absent),
        ("described", Presence::Absent),
        ("committed", Presence::Unfinished),
        ("removed", Presence::Absent),
    ] {
        let root = tempfile::tempdir().unwrap();
        kill_at(stage, root.path());
        let store = Store::open(root.path()).unwrap();
        assert_eq!(store.presence("dev"), left, "{stage}");
        if left == Presence::Unfinished {
            let lock = store.lock("dev").unwrap();
            store.remove(&lock, "dev").unwrap();
            lock.remove();
        }
        create(&store, "dev");
        assert_eq!(store.presence("dev"), Presence::Complete);
        assert!(!root.path().join("machines/.dev.creating").exists());
    }
}
