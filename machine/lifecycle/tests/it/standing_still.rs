//! Paused and suspended machines, and machines that have lost their supervisor.

use machine_lifecycle::{Force, Kind, Outcome, StartOptions, State};

use crate::fake::{FakeDriver, write_image};
use crate::setting::{OPTIONS, Setting, named, silent};

#[tokio::test]
async fn a_paused_machine_goes_on_by_unpause_and_by_start_and_can_be_stopped() {
    let setting = Setting::with_dev().await;
    let (machines, dev) = (&setting.machines, named("dev"));
    assert_eq!(machines.pause(&dev).await.unwrap(), Outcome::Done(()));
    assert_eq!(machines.pause(&dev).await.unwrap(), Outcome::AlreadyDone);
    assert_eq!(machines.status(&dev).await.unwrap(), State::Paused);
    let error = machines.connect(&dev).await.unwrap_err();
    assert!(error.hint().unwrap().contains("machine unpause dev"));
    assert_eq!(machines.unpause(&dev).await.unwrap(), Outcome::Done(()));
    assert_eq!(machines.unpause(&dev).await.unwrap(), Outcome::AlreadyDone);

    machines.pause(&dev).await.unwrap();
    assert!(matches!(machines.start(&dev, OPTIONS, &silent()).await.unwrap(), Outcome::Done(_)));
    assert_eq!(machines.status(&dev).await.unwrap(), State::Running);

    machines.pause(&dev).await.unwrap();
    setting.driver.calls();
    machines.stop(&dev).await.unwrap();
    assert_eq!(setting.driver.calls(), ["unpause", "stop"]);
    assert_eq!(machines.unpause(&dev).await.unwrap_err().kind(), Kind::WrongState);
}

#[tokio::test]
async fn a_suspended_machine_is_saved_until_it_goes_on_from_its_memory() {
    let setting = Setting::with_dev().await;
    let (machines, dev) = (&setting.machines, named("dev"));
    assert_eq!(machines.suspend(&dev, &silent()).await.unwrap(), Outcome::Done(()));
    assert_eq!(machines.suspend(&dev, &silent()).await.unwrap(), Outcome::AlreadyDone);
    assert_eq!(machines.status(&dev).await.unwrap(), State::Saved);
    assert_eq!(machines.stop(&dev).await.unwrap(), Outcome::AlreadyDone);
    assert_eq!(machines.kill(&dev).await.unwrap(), Outcome::AlreadyDone);
    assert_eq!(machines.status(&dev).await.unwrap(), State::Saved);
    assert_eq!(machines.connect(&dev).await.unwrap_err().kind(), Kind::WrongState);

    machines.restart(&dev, OPTIONS, &silent()).await.unwrap();
    assert_eq!(machines.status(&dev).await.unwrap(), State::Running);
    let resumed = setting.driver.started.lock().unwrap().pop().unwrap();
    assert_eq!(resumed.resume_from, Some(setting.file("dev", "memory.state")));

    machines.suspend(&dev, &silent()).await.unwrap();
    machines.remove(&dev, Force::No, &silent()).await.unwrap();
    assert_eq!(setting.left(), [""; 0]);
}

#[tokio::test]
async fn a_saved_memory_can_be_thrown_away() {
    let setting = Setting::with_dev().await;
    let (machines, dev) = (&setting.machines, named("dev"));
    machines.suspend(&dev, &silent()).await.unwrap();
    let options = StartOptions { discard_state: true, ..OPTIONS };
    machines.start(&dev, options, &silent()).await.unwrap();
    assert_eq!(setting.driver.started.lock().unwrap().pop().unwrap().resume_from, None);
    machines.stop(&dev).await.unwrap();
    assert_eq!(machines.status(&dev).await.unwrap(), State::Stopped);
}

#[tokio::test]
async fn a_memory_that_cannot_be_resumed_is_kept() {
    let setting = Setting::with_dev().await;
    let (machines, dev) = (&setting.machines, named("dev"));
    machines.suspend(&dev, &silent()).await.unwrap();
    setting.write("dev", "disk.qcow2", "changed by somebody");
    let error = machines.start(&dev, OPTIONS, &silent()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::WrongState);
    assert!(error.hint().unwrap().contains("--discard-state"));
    assert_eq!(machines.status(&dev).await.unwrap(), State::Saved);
}

#[tokio::test]
async fn a_suspension_that_fails_leaves_the_machine_running() {
    let setting = Setting::with_dev().await;
    let machines = setting.again(FakeDriver::failing("suspend"));
    assert!(machines.suspend(&named("dev"), &silent()).await.is_err());
    assert_eq!(machines.status(&named("dev")).await.unwrap(), State::Running);
}

#[tokio::test]
async fn a_running_machine_without_a_supervisor_gets_one_and_is_not_restarted() {
    let setting = Setting::with_dev().await;
    let (machines, dev) = (&setting.machines, named("dev"));
    let lost = || std::fs::remove_file(setting.file("dev", "supervisor")).unwrap();
    lost();
    let started = machines.start(&dev, OPTIONS, &silent()).await.unwrap();
    assert_eq!(started, Outcome::AlreadyDone);
    assert!(setting.file("dev", "supervisor").exists());
    lost();
    machines.pause(&dev).await.unwrap();
    lost();
    machines.unpause(&dev).await.unwrap();
    lost();
    machines.suspend(&dev, &silent()).await.unwrap();
    assert_eq!(machines.status(&dev).await.unwrap(), State::Saved);
}

#[tokio::test]
async fn a_machine_that_does_not_answer_is_neither_paused_nor_suspended() {
    let setting = Setting::with_dev().await;
    setting.write("dev", "vm", "hung");
    let (machines, dev) = (&setting.machines, named("dev"));
    assert_eq!(machines.pause(&dev).await.unwrap_err().kind(), Kind::WrongState);
    assert_eq!(machines.suspend(&dev, &silent()).await.unwrap_err().kind(), Kind::WrongState);
    assert_eq!(setting.driver.calls(), [""; 0]);
}

#[tokio::test]
async fn a_machine_is_upgraded_when_it_runs_another_image() {
    let setting = Setting::with_dev().await;
    let (machines, dev) = (&setting.machines, named("dev"));
    let progress = silent();
    let upgrade = || machines.upgrade(&dev, OPTIONS.timeout, &progress);
    assert!(!upgrade().await.unwrap());
    assert_eq!(setting.driver.calls(), [""; 0]);

    let image = setting.directory.path().join("image");
    write_image(&image, "newer kernel");
    assert!(upgrade().await.unwrap());
    assert_eq!(setting.driver.calls(), ["stop", "start"]);
    assert!(!upgrade().await.unwrap());

    // A suspended one first has to end properly.
    machines.suspend(&dev, &silent()).await.unwrap();
    setting.driver.calls();
    write_image(&image, "newest kernel");
    assert!(upgrade().await.unwrap());
    assert_eq!(setting.driver.calls(), ["start", "stop", "start"]);

    machines.stop(&dev).await.unwrap();
    assert!(!upgrade().await.unwrap());
    write_image(&image, "kernel");
    assert!(upgrade().await.unwrap());
    assert_eq!(machines.status(&dev).await.unwrap(), State::Stopped);
}

#[tokio::test]
async fn a_damaged_image_stops_no_machine() {
    let setting = Setting::with_dev().await;
    let image = setting.directory.path().join("image");
    write_image(&image, "newer kernel");
    std::fs::write(image.join("vmlinux"), "damaged kern").unwrap();
    let error = setting.machines.upgrade(&named("dev"), OPTIONS.timeout, &silent()).await;
    assert!(error.is_err());
    assert_eq!(setting.machines.status(&named("dev")).await.unwrap(), State::Running);
}
