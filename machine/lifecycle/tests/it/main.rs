//! Life with a fake driver and a real store: what is left on disk, what a guest is told.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod certificates;
mod changes;
mod elsewhere;
mod fake;
mod many;
mod names;
mod reachable;
mod setting;
mod snapshots;
mod standing_still;
mod transfer;

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use fake::FakeDriver;
use machine_lifecycle::driver::DriverError;
use machine_lifecycle::{Error, Force, Kind, MachineSpec, Outcome, StartOptions, State};
use setting::{OPTIONS, Setting, TIME, named, silent, spec};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_created_machine_runs_and_its_guest_is_told_everything() {
    let setting = Setting::new(FakeDriver::good());
    let created = setting.create("dev").await.unwrap();
    let steps: Vec<_> = created.started.timings.iter().map(|(step, _)| step.as_str()).collect();
    assert_eq!(steps, ["image", "certificates", "disk", "qemu"]);
    assert_eq!(setting.machines.status(&named("dev")).await.unwrap(), State::Running);

    let vm = setting.driver.started.lock().unwrap()[0].clone();
    assert_eq!((vm.cpus, vm.memory_mib, vm.disk_size_mib), (2, 1024, 20_000));
    assert_eq!(std::fs::read_to_string(&vm.disk).unwrap(), "disk");
    assert_eq!(vm.boot_contract.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let contract: boot::BootContract =
        serde_json::from_slice(&std::fs::read(&vm.boot_contract).unwrap()).unwrap();
    assert_eq!(contract.version, boot::CONTRACT_VERSION);
    assert_eq!(contract.machine, "dev");
    assert_eq!(contract.engine.labels, ["provider=qemu", "colour=red"]);
    let login = std::fs::read_to_string(vm.machine.directory.join("id_ed25519.pub")).unwrap();
    assert_eq!(contract.ssh.authorized_keys, [login.trim_end()]);
    let server = certs::Identity {
        certificate: contract.tls.certificate,
        private_key: contract.tls.private_key,
    };
    let names = certs::public_names("dev", &["dev.example".to_owned()]);
    let purpose = certs::Purpose::Server { names: &names };
    certs::check(&server, &contract.tls.ca_certificate, purpose, SystemTime::now()).unwrap();

    let connection = setting.machines.connect(&named("dev")).await.unwrap();
    assert_eq!(connection.url, format!("tcp://127.0.0.1:{}", vm.api_port));
}

#[tokio::test]
async fn a_machine_that_does_not_start_leaves_nothing() {
    let died = |_: &_| {
        Err(DriverError::Died {
            phase: "booting".into(),
            reason: "panic".into(),
            console: vec!["Kernel panic".into()],
        })
    };
    let setting = Setting::new(FakeDriver::with_start(died));
    let error = setting.create("dev").await.unwrap_err();
    assert_eq!(error.console(), ["Kernel panic"]);
    assert_eq!(setting.left(), [""; 0]);
    assert!(!setting.machines.exists(&named("dev")));
}

#[tokio::test]
async fn a_machine_that_does_not_start_is_kept_to_be_looked_at_when_asked() {
    let setting = Setting::new(FakeDriver::failing("start"));
    let options = StartOptions { keep_failed: true, ..OPTIONS };
    let (machines, dev) = (&setting.machines, named("dev"));
    let error = machines.create(&dev, &spec(), options, &silent()).await.unwrap_err();
    assert!(error.to_string().contains("kept"), "{error}");
    assert!(error.hint().unwrap().contains("machine rm dev"));
    assert_eq!(machines.inspect(&dev).await.unwrap().state, State::Error);
    assert!(machines.console(&dev).is_ok());
    let error = machines.start(&dev, OPTIONS, &silent()).await.unwrap_err();
    assert!(matches!(error, Error::Unfinished { .. }));
    machines.remove(&dev, Force::No, &silent()).await.unwrap();
    assert_eq!(setting.left(), [""; 0]);
}

#[tokio::test]
async fn a_host_that_cannot_run_machines_is_told_so_before_anything_is_made() {
    let setting = Setting::new(FakeDriver::failing("check"));
    assert!(setting.create("dev").await.is_err());
    assert_eq!(setting.left(), [""; 0]);
    assert_eq!(setting.driver.calls(), ["check"]);
}

#[tokio::test]
async fn what_is_wrong_beforehand_leaves_nothing() {
    let setting = Setting::new(FakeDriver::good());
    let absurd = MachineSpec { memory_mib: 1 << 40, ..spec() };
    let error =
        setting.machines.create(&named("dev"), &absurd, OPTIONS, &silent()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);

    std::fs::write(setting.directory.path().join("image/vmlinux"), "KERNEL").unwrap();
    let error = setting.create("dev").await.unwrap_err();
    assert!(matches!(error, Error::Image(vm_images::Error::Damaged { .. })));
    assert_eq!(setting.left(), [""; 0]);
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let setting = Setting::new(FakeDriver::good());
    setting.create("dev").await.unwrap();
    let error = setting.create("dev").await.unwrap_err();
    assert!(matches!(error, Error::AlreadyExists { .. }));
    assert_eq!(setting.machines.status(&named("dev")).await.unwrap(), State::Running);
}

/// As far as the disk is concerned, a dropped future is a killed command: nothing of it runs on.
async fn interrupted_creation(setting: &Setting) {
    let spec = spec();
    let name = named("dev");
    let silent = silent();
    let mut create = Box::pin(setting.machines.create(&name, &spec, OPTIONS, &silent));
    assert!(futures::poll!(&mut create).is_pending());
    let busy = setting.again(FakeDriver::good());
    let error = busy.create(&name, &spec, OPTIONS, &silent).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
    assert_eq!(busy.list(TIME, TIME).await.unwrap()[0].state, State::Running);
}

#[tokio::test]
async fn an_interrupted_creation_is_shown_not_used_and_made_again() {
    let setting = Setting::new(FakeDriver::hanging("start"));
    interrupted_creation(&setting).await;
    let machines = setting.again(FakeDriver::good());
    let listed = machines.list(TIME, TIME).await.unwrap();
    assert_eq!((listed[0].state, listed[0].error.is_some()), (State::Error, true));
    let error = machines.connect(&named("dev")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::WrongState);
    let error = machines.start(&named("dev"), OPTIONS, &silent()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::WrongState);

    machines.create(&named("dev"), &spec(), OPTIONS, &silent()).await.unwrap();
    assert_eq!(machines.status(&named("dev")).await.unwrap(), State::Running);
    let directory = setting.directory.path().join("store/machines/dev");
    assert!(!directory.join(".unfinished").exists());
}

#[tokio::test]
async fn an_interrupted_creation_can_be_removed_or_abandoned() {
    let setting = Setting::new(FakeDriver::hanging("start"));
    interrupted_creation(&setting).await;
    setting.machines.remove(&named("dev"), Force::No, &silent()).await.unwrap();
    assert_eq!(setting.left(), [""; 0]);

    interrupted_creation(&setting).await;
    setting.machines.abandon(&named("dev")).await.unwrap();
    assert_eq!(setting.left(), [""; 0]);
}

#[tokio::test]
async fn a_complete_machine_is_not_abandoned() {
    let setting = Setting::new(FakeDriver::good());
    setting.create("dev").await.unwrap();
    setting.machines.abandon(&named("dev")).await.unwrap();
    assert_eq!(setting.machines.status(&named("dev")).await.unwrap(), State::Running);
}

#[tokio::test]
async fn start_and_stop_say_when_it_was_so_already() {
    let setting = Setting::new(FakeDriver::good());
    setting.create("dev").await.unwrap();
    let (machines, dev) = (&setting.machines, named("dev"));
    assert_eq!(machines.start(&dev, OPTIONS, &silent()).await.unwrap(), Outcome::AlreadyDone);
    assert_eq!(machines.stop(&dev).await.unwrap(), Outcome::Done(()));
    assert_eq!(machines.stop(&dev).await.unwrap(), Outcome::AlreadyDone);
    assert_eq!(machines.kill(&dev).await.unwrap(), Outcome::AlreadyDone);
    assert_eq!(machines.connect(&dev).await.unwrap_err().kind(), Kind::WrongState);
    assert!(matches!(machines.start(&dev, OPTIONS, &silent()).await.unwrap(), Outcome::Done(_)));
    machines.restart(&dev, OPTIONS, &silent()).await.unwrap();
    assert_eq!(machines.status(&dev).await.unwrap(), State::Running);
}

/// What a killed command had begun is given up, or carried out, a moment later.
#[tokio::test]
async fn a_start_waits_for_what_is_still_under_way() {
    let setting = Setting::new(FakeDriver::good());
    setting.create("dev").await.unwrap();
    let (machines, dev, progress) = (&setting.machines, named("dev"), silent());
    let vm = machines.store().paths("dev").directory().join("vm");
    for (then, done) in [("running", false), ("", true)] {
        std::fs::write(&vm, "starting").unwrap();
        let (started, ()) = tokio::join!(machines.start(&dev, OPTIONS, &progress), async {
            if then.is_empty() {
                std::fs::remove_file(&vm).unwrap();
            } else {
                std::fs::write(&vm, then).unwrap();
            }
        });
        assert_eq!(matches!(started.unwrap(), Outcome::Done(_)), done, "{then:?}");
    }
}

#[tokio::test]
async fn a_machine_keeps_its_ports_and_keys_when_it_starts_again() {
    let setting = Setting::new(FakeDriver::good());
    setting.create("dev").await.unwrap();
    setting.machines.restart(&named("dev"), OPTIONS, &silent()).await.unwrap();
    let started = setting.driver.started.lock().unwrap();
    assert_eq!(started[0], started[1]);
}

#[tokio::test]
async fn certificates_with_a_third_of_life_left_are_renewed_at_the_next_start() {
    let setting = Setting::new(FakeDriver::good());
    setting.create("dev").await.unwrap();
    let path = setting.directory.path().join("store/machines/dev/cert.pem");
    let read = || std::fs::read_to_string(&path).unwrap();
    let first = read();

    let later = setting.again(FakeDriver::good()).with_clock(|| SystemTime::now() + 200 * DAY);
    later.restart(&named("dev"), OPTIONS, &silent()).await.unwrap();
    assert_eq!(read(), first);
    let later = setting.again(FakeDriver::good()).with_clock(|| SystemTime::now() + 300 * DAY);
    later.restart(&named("dev"), OPTIONS, &silent()).await.unwrap();
    assert_ne!(read(), first);
}

#[tokio::test]
async fn certificates_of_a_running_machine_are_renewed_when_somebody_connects() {
    let setting = Setting::with_dev().await;
    let first = setting.read("dev", "cert.pem");
    let dev = named("dev");
    let at = |clock: fn() -> SystemTime| setting.again(FakeDriver::good()).with_clock(clock);

    // Nobody waits for another command as long as what there is can be used.
    let lock = setting.machines.store().lock("dev").unwrap();
    let due: fn() -> SystemTime = || SystemTime::now() + 300 * DAY;
    at(due).connect(&dev).await.unwrap();
    assert_eq!(setting.read("dev", "cert.pem"), first);
    let error = at(|| SystemTime::now() + 900 * DAY).connect(&dev).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
    drop(lock);

    at(due).connect(&dev).await.unwrap();
    assert_ne!(setting.read("dev", "cert.pem"), first);
}

#[tokio::test]
async fn certificates_of_a_lost_authority_are_made_anew() {
    let setting = Setting::new(FakeDriver::good());
    setting.create("dev").await.unwrap();
    let store = setting.directory.path().join("store");
    std::fs::remove_file(store.join("certs/ca-key.pem")).unwrap();
    setting.machines.restart(&named("dev"), OPTIONS, &silent()).await.unwrap();
    setting.machines.connect(&named("dev")).await.unwrap();
    let read = |path: &str| std::fs::read_to_string(store.join(path)).unwrap();
    assert!(read("machines/dev/ca.pem").starts_with(&read("certs/ca.pem")));
}

#[tokio::test]
async fn a_machine_that_cannot_be_ended_is_removed_by_force_only() {
    let setting = Setting::new(FakeDriver::failing("kill"));
    setting.create("dev").await.unwrap();
    let kept = setting.machines.remove(&named("dev"), Force::No, &silent()).await;
    assert!(kept.is_err() && setting.machines.exists(&named("dev")));
    setting.machines.remove(&named("dev"), Force::Yes, &silent()).await.unwrap();
    assert_eq!(setting.left(), [""; 0]);
}

#[tokio::test]
async fn unknown_machines_are_not_found_by_anything() {
    let setting = Setting::new(FakeDriver::good());
    let (machines, name) = (&setting.machines, named("nope"));
    assert_eq!(machines.start(&name, OPTIONS, &silent()).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(machines.stop(&name).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(machines.kill(&name).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(machines.status(&name).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(machines.connect(&name).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(machines.ssh(&name).await.unwrap_err().kind(), Kind::NotFound);
    let error = machines.remove(&name, Force::Yes, &silent()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(setting.left(), [""; 0]);
}

#[tokio::test]
async fn a_broken_record_hides_no_other_machine_and_can_be_removed() {
    let setting = Setting::new(FakeDriver::good());
    setting.create("bad").await.unwrap();
    setting.create("good").await.unwrap();
    let record = setting.directory.path().join("store/machines/bad/machine.yaml");
    std::fs::write(record, "version: 1\ncpus: many\n").unwrap();
    let listed = setting.machines.list(TIME, TIME).await.unwrap();
    let states: Vec<_> = listed.iter().map(|line| (line.name.as_str(), line.state)).collect();
    assert_eq!(states, [("bad", State::Error), ("good", State::Running)]);
    setting.machines.remove(&named("bad"), Force::No, &silent()).await.unwrap();
    assert_eq!(setting.machines.names().unwrap(), [named("good")]);
}
