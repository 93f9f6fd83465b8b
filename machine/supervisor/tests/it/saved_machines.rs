//! Machines that are saved to files, and go on from them.

use std::path::Path;

use machine_lifecycle::driver::{Driver, DriverError, Observed, VmSpec};
use rustix::process::{Signal, kill_process};

use crate::harness::{Host, Running, Told};

impl Running {
    /// The same machine, going on from a file.
    fn resuming(&self, state: &Path) -> VmSpec {
        VmSpec { resume_from: Some(state.to_owned()), ..self.vm.clone() }
    }
}

#[tokio::test]
async fn a_suspended_machine_goes_on_where_it_was() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let Running { driver, vm } = &machine;
    let state = host.path("dev/memory.state");
    driver.suspend(&vm.machine, &state).await.unwrap();
    assert_eq!(machine.observe().await, Observed::Stopped);
    assert!(state.exists());
    host.assert_nothing_is_left();

    let told = Told::default();
    let started = driver.start(&machine.resuming(&state), &told).await.unwrap();
    let names: Vec<_> = started.timings.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["qemu", "state", "api"]);
    assert_eq!(
        *told.steps.lock().unwrap(),
        ["starting QEMU", "reading the saved state", "waiting for the API"]
    );
    assert_eq!(machine.observe().await, Observed::Running);
    assert!(!state.exists(), "it would be used a second time");
    assert_eq!(machine.heard("memory loaded").len(), 1);
    // What was published then is published again.
    assert_eq!(
        machine.heard("hostfwd_add net0 tcp:127.0.0.1:"),
        ["hostfwd_add net0 tcp:127.0.0.1:8081-:80"]
    );
    machine.end().await;
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn the_clock_is_set_before_anybody_asks_a_machine_that_goes_on() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let state = host.path("dev/memory.state");
    machine.driver.suspend(&machine.vm.machine, &state).await.unwrap();
    std::fs::remove_file(host.path("dev/guest.heard")).unwrap();
    machine.driver.start(&machine.resuming(&state), &Told::default()).await.unwrap();
    let heard = machine.heard("");
    let at = |what: &str| heard.iter().position(|line| line.starts_with(what)).unwrap();
    assert!(at("cont") < at("guest-set-time") && at("guest-set-time") < at("GET"));
    machine.end().await;
}

#[tokio::test]
async fn a_paused_machine_can_be_suspended_too() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let state = host.path("dev/memory.state");
    machine.driver.pause(&machine.vm.machine).await.unwrap();
    machine.driver.suspend(&machine.vm.machine, &state).await.unwrap();
    assert_eq!(machine.observe().await, Observed::Stopped);
    assert!(state.exists());
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_machine_whose_memory_cannot_be_written_is_as_before() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let Running { driver, vm } = &machine;
    let state = host.path("no/such/directory/state");
    let error = driver.suspend(&vm.machine, &state).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot write "), "{error}");
    assert_eq!(machine.observe().await, Observed::Running);
    driver.pause(&vm.machine).await.unwrap();
    driver.suspend(&vm.machine, &state).await.unwrap_err();
    assert_eq!(machine.observe().await, Observed::Paused);
    machine.end().await;
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_suspend_whose_command_is_killed_leaves_the_machine_running() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let Running { driver, vm } = &machine;
    std::fs::write(host.path("dev/qemu.sends-forever"), "").unwrap();
    let state = host.path("dev/memory.state");
    {
        let suspending = driver.suspend(&vm.machine, &state);
        tokio::pin!(suspending);
        tokio::select! {
            done = &mut suspending => panic!("{done:?}"),
            () = machine.until_there_is(".saving-") => {}
        }
        assert_eq!(machine.observe().await, Observed::Paused);
        let busy = driver.pause(&vm.machine).await.unwrap_err();
        assert!(matches!(busy, DriverError::Busy { name } if name == "dev"));
    }
    machine.until(Observed::Running).await;
    machine.until_there_is_no(".saving-").await;
    assert!(!state.exists());
    machine.end().await;
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_machine_that_is_killed_while_it_is_saved_leaves_nothing_half_made() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    std::fs::write(host.path("dev/qemu.sends-forever"), "").unwrap();
    let state = host.path("dev/memory.state");
    let (saved, ()) = tokio::join!(machine.driver.suspend(&machine.vm.machine, &state), async {
        machine.until_there_is(".saving-").await;
        machine.end().await;
    });
    saved.unwrap_err();
    assert!(!state.exists());
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_supervisor_that_dies_while_it_saves_leaves_a_machine_that_goes_on() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let Running { driver, vm } = &machine;
    let qemu = machine.qemu();
    std::fs::write(host.path("dev/qemu.sends-forever"), "").unwrap();
    let state = host.path("dev/memory.state");
    let (saved, ()) = tokio::join!(driver.suspend(&vm.machine, &state), async {
        machine.until_there_is(".saving-").await;
        machine.kill_supervisor().await;
    });
    let error = saved.unwrap_err().to_string();
    assert_eq!(error, "the supervisor ended before it was done");
    assert_eq!(machine.observe().await, Observed::Paused);
    driver.start(&machine.resuming(&state), &Told::default()).await.unwrap();
    assert_eq!(machine.observe().await, Observed::Running);
    assert_eq!(machine.qemu(), qemu);
    std::fs::remove_file(host.path("dev/qemu.sends-forever")).unwrap();
    driver.suspend(&vm.machine, &state).await.unwrap();
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_machine_whose_memory_is_complete_is_stopped_although_its_qemu_was_not_ended() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let Running { driver, vm } = &machine;
    let state = host.path("dev/memory.state");
    driver.suspend(&vm.machine, &state).await.unwrap();
    let saved = std::fs::read(&state).unwrap();

    // As if the supervisor had been killed after it had completed the file.
    driver.start(&machine.resuming(&state), &Told::default()).await.unwrap();
    machine.kill_supervisor().await;
    std::fs::write(&state, saved).unwrap();
    let record = host.path("dev/vm.json");
    let text = std::fs::read_to_string(&record).unwrap();
    let text = text.replace("\"saved_to\":null", &format!("\"saved_to\":{state:?}"));
    std::fs::write(&record, text).unwrap();

    assert_eq!(machine.observe().await, Observed::Stopped);
    let qemu = machine.qemu();
    driver.start(&machine.resuming(&state), &Told::default()).await.unwrap();
    assert_ne!(machine.qemu(), qemu);
    assert_eq!(machine.heard("memory loaded").len(), 2);
    machine.end().await;
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_state_that_does_not_fit_is_refused_and_kept() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let state = host.path("dev/memory.state");
    machine.driver.suspend(&machine.vm.machine, &state).await.unwrap();
    let vm = VmSpec { memory_mib: 128, ..machine.resuming(&state) };
    let error = machine.driver.start(&vm, &Told::default()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the saved state does not fit: the machine had 64 MiB of memory then and has 128 MiB now"
    );
    assert!(matches!(error, DriverError::StateMismatch { .. }));
    assert!(state.exists());
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_damaged_state_is_refused_and_kept() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let state = host.path("dev/memory.state");
    machine.driver.suspend(&machine.vm.machine, &state).await.unwrap();
    let mut saved = std::fs::read(&state).unwrap();
    saved.truncate(saved.len() - 1);
    std::fs::write(&state, saved).unwrap();
    let error = machine.driver.start(&machine.resuming(&state), &Told::default()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("the saved state does not fit: the file is damaged"), "{error}");
    assert!(state.exists());
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_state_that_qemu_refuses_is_kept_and_the_reason_is_told() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let state = host.path("dev/memory.state");
    machine.driver.suspend(&machine.vm.machine, &state).await.unwrap();
    std::fs::write(host.path("dev/qemu.refuses-memory"), "").unwrap();
    let error = machine.driver.start(&machine.resuming(&state), &Told::default()).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "the saved state does not fit: QEMU does not take it, QEMU ended with status 1: \
         load of migration failed"
    );
    assert!(state.exists());
    host.assert_nothing_is_left();
    std::fs::remove_file(host.path("dev/qemu.refuses-memory")).unwrap();
    machine.driver.start(&machine.resuming(&state), &Told::default()).await.unwrap();
    machine.end().await;
}

#[tokio::test]
async fn a_snapshot_has_memory_and_disk_and_the_machine_runs_on() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let Running { driver, vm } = &machine;
    let folder = host.path("snapshot");
    std::fs::create_dir(&folder).unwrap();
    let (state, disk) = (folder.join("memory"), folder.join("disk"));
    std::fs::write(folder.join(".saving-of-somebody-killed"), "").unwrap();
    driver.snapshot(&vm.machine, Some(&state), &disk).await.unwrap();
    assert_eq!(machine.observe().await, Observed::Running);
    assert!(std::fs::read(&disk).unwrap() == std::fs::read(&vm.disk).unwrap());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
    machine.end().await;

    driver.start(&machine.resuming(&state), &Told::default()).await.unwrap();
    assert_eq!(machine.heard("memory loaded").len(), 1);
    machine.end().await;
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_paused_machine_is_paused_after_its_snapshot() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let Running { driver, vm } = &machine;
    driver.pause(&vm.machine).await.unwrap();
    for (state, disk) in [(None, "one"), (Some(host.path("state")), "two")] {
        driver.snapshot(&vm.machine, state.as_deref(), &host.path(disk)).await.unwrap();
        assert_eq!(machine.observe().await, Observed::Paused);
    }
    driver.unpause(&vm.machine).await.unwrap();
    assert_eq!(machine.observe().await, Observed::Running);
    machine.end().await;
}

#[tokio::test]
async fn a_snapshot_overwrites_nothing() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let disk = host.path("disk");
    std::fs::write(&disk, "precious").unwrap();
    machine.driver.snapshot(&machine.vm.machine, None, &disk).await.unwrap_err();
    assert_eq!(std::fs::read(&disk).unwrap(), b"precious");
    assert_eq!(machine.observe().await, Observed::Running);
    machine.end().await;
}

#[tokio::test]
async fn a_qemu_that_dies_while_it_is_saved_is_told() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    std::fs::write(host.path("dev/qemu.sends-forever"), "").unwrap();
    let state = host.path("dev/memory.state");
    let (saved, ()) = tokio::join!(machine.driver.suspend(&machine.vm.machine, &state), async {
        machine.until_there_is(".saving-").await;
        kill_process(machine.qemu(), Signal::KILL).unwrap();
    });
    saved.unwrap_err();
    machine.until(Observed::Stopped).await;
    assert!(!state.exists());
    host.assert_nothing_is_left();
}
