//! Commands that are killed at any moment: what they leave is old or new, and the next command
//! works.
//!
//! Each operation runs in a process of its own, which is killed once it has changed its files so
//! and so many times; that number grows until the operation comes to its end.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod certificates;
#[expect(dead_code, reason = "shared with other tests, which use more of it")]
#[path = "../it/fake.rs"]
mod fake;
mod operations;
#[path = "../it/reachable.rs"]
mod reachable;
#[expect(dead_code, reason = "shared with other tests, which use more of it")]
#[path = "../it/setting.rs"]
mod setting;
mod transfer;
mod victim;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fake::FakeDriver;
use machine_lifecycle::{Error, Force, Kind, MachineName, Machines, State};
use setting::{OPTIONS, Setting, TIME, named, silent, spec};
use victim::kill_at_every_change;

/// Between fork and exec a new process holds every lock of this one; so the tests take turns.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A setting with `dev`, whose disk says `old`, in this state.
async fn prepared(state: State) -> Setting {
    let setting = Setting::with_dev().await;
    let (machines, dev) = (&setting.machines, named("dev"));
    setting.write("dev", "disk.qcow2", "old");
    match state {
        State::Stopped => drop(machines.stop(&dev).await.unwrap()),
        State::Saved => drop(machines.suspend(&dev, &silent()).await.unwrap()),
        _ => {}
    }
    setting
}

async fn started(machines: &Machines, name: &MachineName) {
    machines.start(name, OPTIONS, &silent()).await.unwrap();
    machines.connect(name).await.unwrap();
}

/// What the driver was told last about a memory to go on from.
fn resumed(driver: &Arc<FakeDriver>) -> bool {
    driver.started.lock().unwrap().last().is_some_and(|vm| vm.resume_from.is_some())
}

#[test]
fn a_killed_creation_leaves_a_machine_or_a_name_that_can_be_used() {
    let _turn = turn();
    kill_at_every_change(
        "create",
        || Setting::new(FakeDriver::good()),
        |setting| {
            block_on(async {
                let (machines, dev) = (&setting.machines, named("dev"));
                machines.list(TIME, TIME).await.unwrap();
                match machines.create(&dev, &spec(), OPTIONS, &silent()).await {
                    Ok(_) => {}
                    Err(Error::AlreadyExists { .. }) => started(machines, &dev).await,
                    Err(error) => panic!("{error}"),
                }
                assert_eq!(machines.status(&dev).await.unwrap(), State::Running);
                machines.remove(&dev, Force::No, &silent()).await.unwrap();
                assert_eq!(setting.left(), [""; 0]);
            });
        },
    );
}

#[test]
fn a_machine_whose_start_or_stop_was_killed_starts_and_stops() {
    let _turn = turn();
    let check = |setting: &Setting| {
        block_on(async {
            let (machines, dev) = (&setting.machines, named("dev"));
            started(machines, &dev).await;
            assert_eq!(setting.read("dev", "disk.qcow2"), "old");
            machines.stop(&dev).await.unwrap();
            assert_eq!(machines.status(&dev).await.unwrap(), State::Stopped);
        });
    };
    kill_at_every_change("start", || block_on(prepared(State::Stopped)), check);
    kill_at_every_change("start", || block_on(prepared(State::Saved)), check);
    kill_at_every_change("stop", || block_on(prepared(State::Running)), check);
}

#[test]
fn a_machine_whose_suspension_was_killed_goes_on() {
    let _turn = turn();
    kill_at_every_change(
        "suspend",
        || block_on(prepared(State::Running)),
        |setting| {
            block_on(async {
                let (machines, dev) = (&setting.machines, named("dev"));
                let state = machines.status(&dev).await.unwrap();
                assert!(matches!(state, State::Running | State::Saved), "{state}");
                started(machines, &dev).await;
                assert_eq!(resumed(&setting.driver), state == State::Saved);
            });
        },
    );
}

#[test]
fn a_killed_removal_leaves_a_machine_or_none() {
    let _turn = turn();
    kill_at_every_change(
        "remove",
        || block_on(prepared(State::Running)),
        |setting| {
            block_on(async {
                let (machines, dev) = (&setting.machines, named("dev"));
                if machines.exists(&dev) {
                    started(machines, &dev).await;
                    machines.remove(&dev, Force::No, &silent()).await.unwrap();
                }
                setting.create("dev").await.unwrap();
                machines.remove(&dev, Force::No, &silent()).await.unwrap();
                assert_eq!(setting.left(), [""; 0]);
            });
        },
    );
}

#[test]
fn a_killed_snapshot_is_there_or_not() {
    let _turn = turn();
    for state in [State::Running, State::Stopped, State::Saved] {
        kill_at_every_change(
            "snapshot",
            || block_on(prepared(state)),
            |setting| {
                block_on(async {
                    let (machines, dev, one) = (&setting.machines, named("dev"), named("one"));
                    if machines.snapshots(&dev).unwrap().is_empty() {
                        machines.snapshot_save(&dev, Some(&one), &silent()).await.unwrap();
                    }
                    setting.write("dev", "disk.qcow2", "later");
                    machines.snapshot_restore(&dev, &one, TIME, &silent()).await.unwrap();
                    assert_eq!(setting.read("dev", "disk.qcow2"), "old");
                });
            },
        );
    }
}

/// The driver refuses a memory that is not of the disk there is.
#[test]
fn a_killed_restoration_leaves_the_old_or_the_new_and_never_a_mixture() {
    let _turn = turn();
    for (snapshot_of, state) in [
        (State::Running, State::Running),
        (State::Running, State::Saved),
        (State::Stopped, State::Saved),
    ] {
        let prepare = async || {
            let setting = prepared(snapshot_of).await;
            let (machines, dev, one) = (&setting.machines, named("dev"), named("one"));
            machines.snapshot_save(&dev, Some(&one), &silent()).await.unwrap();
            started(machines, &dev).await;
            setting.write("dev", "disk.qcow2", "later");
            if state == State::Saved {
                machines.suspend(&dev, &silent()).await.unwrap();
            }
            setting
        };
        kill_at_every_change(
            "restore",
            || block_on(prepare()),
            |setting| {
                block_on(async {
                    let (machines, dev) = (&setting.machines, named("dev"));
                    let before = machines.status(&dev).await.unwrap();
                    started(machines, &dev).await;
                    assert_eq!(
                        before == State::Saved,
                        resumed(&setting.driver) && before != State::Running
                    );
                    let disk = setting.read("dev", "disk.qcow2");
                    assert!(["old", "later"].contains(&disk.as_str()), "{disk}");
                    let one = named("one");
                    machines.snapshot_restore(&dev, &one, TIME, &silent()).await.unwrap();
                    assert_eq!(setting.read("dev", "disk.qcow2"), "old");
                });
            },
        );
    }
}

#[test]
fn a_killed_renaming_leaves_the_machine_under_one_of_its_names() {
    let _turn = turn();
    kill_at_every_change(
        "rename",
        || block_on(prepared(State::Stopped)),
        |setting| {
            block_on(async {
                let (machines, dev, new) = (&setting.machines, named("dev"), named("new"));
                assert_ne!(machines.exists(&dev), machines.exists(&new));
                if machines.exists(&dev) {
                    machines.rename(&dev, &new).await.unwrap();
                }
                started(machines, &new).await;
                assert_eq!(setting.read("new", "disk.qcow2"), "old");
                let names = certs::public_names("new", &[]);
                let server = certs::Identity {
                    certificate: setting.read("new", "server.pem"),
                    private_key: setting.read("new", "server-key.pem"),
                };
                let purpose = certs::Purpose::Server { names: &names };
                let now = std::time::SystemTime::now();
                certs::check(&server, &setting.read("new", "ca.pem"), purpose, now).unwrap();
            });
        },
    );
}

#[test]
fn a_killed_cloning_leaves_a_clone_or_none_and_the_original() {
    let _turn = turn();
    for state in [State::Running, State::Stopped] {
        kill_at_every_change(
            "clone",
            || block_on(prepared(state)),
            |setting| {
                block_on(async {
                    let (machines, dev, copy) = (&setting.machines, named("dev"), named("copy"));
                    assert_eq!(machines.status(&dev).await.unwrap(), state);
                    match machines.clone_machine(&dev, &copy, &silent()).await {
                        Ok(()) => {}
                        Err(error) => assert_eq!(error.kind(), Kind::Conflict, "{error}"),
                    }
                    started(machines, &copy).await;
                    assert_eq!(setting.read("copy", "disk.qcow2"), "old");
                });
            },
        );
    }
}

#[test]
fn a_killed_change_is_made_or_not() {
    let _turn = turn();
    kill_at_every_change(
        "set",
        || block_on(prepared(State::Running)),
        |setting| {
            block_on(async {
                let (machines, dev) = (&setting.machines, named("dev"));
                let record = machines.inspect(&dev).await.unwrap().record;
                let sizes = (record.cpus, record.disk_size_mib);
                assert!([(2, 20_000), (3, 30_000)].contains(&sizes), "{sizes:?}");
                machines.restart(&dev, OPTIONS, &silent()).await.unwrap();
            });
        },
    );
}
