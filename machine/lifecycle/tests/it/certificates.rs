//! New certificates: whatever happens on the way, the machine can be reached.

use std::os::unix::fs::PermissionsExt as _;
use std::time::SystemTime;

use certs::{Description, Identity, Purpose, check};
use machine_lifecycle::{CertificateUse, Error, Kind, Regenerate, Role, State};

use crate::DAY;
use crate::fake::FakeDriver;
use crate::reachable::{assert_reachable, client, served};
use crate::setting::{OPTIONS, Setting, named, silent};

const SERVER: Regenerate = Regenerate { client: false, authority: false };
const BOTH: Regenerate = Regenerate { client: true, authority: false };
const ALL: Regenerate = Regenerate { client: true, authority: true };

const FILES: [&str; 5] = ["ca.pem", "cert.pem", "key.pem", "server.pem", "server-key.pem"];

fn files(setting: &Setting) -> Vec<String> {
    FILES.iter().map(|file| setting.read("dev", file)).collect()
}

fn now() -> SystemTime {
    SystemTime::now()
}

#[tokio::test]
async fn a_running_machine_takes_new_certificates_at_once() {
    let setting = Setting::with_dev().await;
    let before = files(&setting);
    setting.machines.regenerate_certificates(&named("dev"), SERVER).await.unwrap();
    assert_eq!(setting.driver.calls(), ["load_identity"]);
    let after = files(&setting);
    let changed: Vec<_> = before.iter().zip(&after).map(|(old, new)| old != new).collect();
    assert_eq!(changed, [false, false, false, true, true]);
    assert_eq!(served(&setting, "dev").certificate, after[3]);
    assert_reachable(&setting, "dev", now());

    setting.machines.regenerate_certificates(&named("dev"), BOTH).await.unwrap();
    let changed: Vec<_> =
        before.iter().zip(files(&setting)).map(|(old, new)| *old != new).collect();
    assert_eq!(changed, [false, true, true, true, true]);
    assert_reachable(&setting, "dev", now());
}

#[tokio::test]
async fn with_a_new_ca_the_old_clients_are_refused_and_other_machines_follow() {
    let setting = Setting::with_dev().await;
    setting.create("ci").await.unwrap();
    let copied = client(&setting, "dev");
    setting.machines.regenerate_certificates(&named("dev"), ALL).await.unwrap();
    assert_reachable(&setting, "dev", now());
    let trusted = served(&setting, "dev").ca_certificate;
    assert!(check(&copied, &trusted, Purpose::Client, now()).is_err());

    assert_reachable(&setting, "ci", now());
    setting.machines.connect(&named("ci")).await.unwrap();
    assert_reachable(&setting, "ci", now());
    assert_eq!(setting.read("ci", "ca.pem"), setting.read("dev", "ca.pem"));
    assert_eq!(served(&setting, "ci").ca_certificate, trusted);
}

#[tokio::test]
async fn a_guest_that_refuses_keeps_what_it_has() {
    let setting = Setting::with_dev().await;
    let before = files(&setting);
    for what in [SERVER, BOTH, ALL] {
        let machines = setting.again(FakeDriver::failing("load_identity"));
        let error = machines.regenerate_certificates(&named("dev"), what).await.unwrap_err();
        assert!(matches!(error, Error::Driver { .. }), "{error}");
        assert_eq!(files(&setting), before, "{what:?}");
        assert_reachable(&setting, "dev", now());
    }
    setting.machines.connect(&named("dev")).await.unwrap();
    assert_reachable(&setting, "dev", now());
}

/// As far as the disk is concerned, a dropped future is a killed command: nothing of it runs on.
#[tokio::test]
async fn a_command_killed_on_the_way_leaves_a_machine_that_can_be_reached() {
    let setting = Setting::with_dev().await;
    let dev = named("dev");
    for what in [SERVER, BOTH, ALL] {
        let machines = setting.again(FakeDriver::hanging("load_identity"));
        let mut killed = Box::pin(machines.regenerate_certificates(&dev, what));
        assert!(futures::poll!(&mut killed).is_pending());
        drop(killed);
        assert_reachable(&setting, "dev", now());
        setting.machines.connect(&dev).await.unwrap();
        assert_reachable(&setting, "dev", now());
        setting.machines.regenerate_certificates(&dev, what).await.unwrap();
        assert_reachable(&setting, "dev", now());
    }
}

/// Stops between any two of the files that are replaced.
#[tokio::test]
async fn a_pair_that_was_replaced_by_half_is_made_whole_by_the_next_command() {
    let setting = Setting::with_dev().await;
    let before = files(&setting);
    setting.machines.regenerate_certificates(&named("dev"), BOTH).await.unwrap();
    for file in [1, 2, 3, 4] {
        setting.machines.regenerate_certificates(&named("dev"), BOTH).await.unwrap();
        setting.write("dev", FILES[file], &before[file]);
        setting.machines.connect(&named("dev")).await.unwrap();
        assert_reachable(&setting, "dev", now());
    }
}

#[tokio::test]
async fn a_machine_without_a_supervisor_gets_one_first() {
    let setting = Setting::with_dev().await;
    std::fs::remove_file(setting.file("dev", "supervisor")).unwrap();
    setting.machines.regenerate_certificates(&named("dev"), SERVER).await.unwrap();
    assert_eq!(setting.driver.calls(), ["start", "load_identity"]);
    assert_reachable(&setting, "dev", now());
}

#[tokio::test]
async fn using_a_running_machine_renews_what_has_a_third_of_its_life_left() {
    let setting = Setting::with_dev().await;
    let before = files(&setting);
    let early = setting.again(FakeDriver::good()).with_clock(|| SystemTime::now() + 200 * DAY);
    early.connect(&named("dev")).await.unwrap();
    assert_eq!(files(&setting), before);

    let later = setting.again(FakeDriver::good()).with_clock(|| SystemTime::now() + 300 * DAY);
    later.connect(&named("dev")).await.unwrap();
    assert_reachable(&setting, "dev", now() + 300 * DAY);
    assert_reachable(&setting, "dev", now() + 690 * DAY);
    let after = files(&setting);
    assert_ne!(after[1], before[1]);
    assert_eq!(after[2], before[2], "a key that is kept always fits");

    let expired = setting.again(FakeDriver::good()).with_clock(|| SystemTime::now() + 900 * DAY);
    expired.connect(&named("dev")).await.unwrap();
    assert_reachable(&setting, "dev", now() + 900 * DAY);
}

#[tokio::test]
async fn a_ca_at_the_end_of_its_life_is_renewed_and_its_clients_go_on_for_a_while() {
    let setting = Setting::with_dev().await;
    let late = |days: u32| now() + days * DAY;
    let before = setting.again(FakeDriver::good()).with_clock(|| SystemTime::now() + 2400 * DAY);
    before.connect(&named("dev")).await.unwrap();
    let copied = client(&setting, "dev");
    let machines = setting.again(FakeDriver::good()).with_clock(|| SystemTime::now() + 2450 * DAY);
    machines.connect(&named("dev")).await.unwrap();
    assert_reachable(&setting, "dev", late(2450));
    let trusted = served(&setting, "dev").ca_certificate;
    assert_eq!(certs::bundle::split(&trusted).len(), 2);
    assert!(check(&copied, &trusted, Purpose::Client, late(2500)).is_ok());
}

#[tokio::test]
async fn a_renewal_that_has_to_wait_stops_nobody() {
    let setting = Setting::with_dev().await;
    let busy = setting.machines.store().lock("dev").unwrap();
    let before = files(&setting);
    let later = setting.again(FakeDriver::good()).with_clock(|| SystemTime::now() + 300 * DAY);
    later.connect(&named("dev")).await.unwrap();
    assert_eq!(files(&setting), before);
    let expired = setting.again(FakeDriver::good()).with_clock(|| SystemTime::now() + 900 * DAY);
    assert_eq!(expired.connect(&named("dev")).await.unwrap_err().kind(), Kind::Busy);
    drop(busy);
    expired.connect(&named("dev")).await.unwrap();
}

#[tokio::test]
async fn a_stopped_machine_gets_its_certificates_and_a_suspended_one_does_not() {
    let setting = Setting::with_dev().await;
    let dev = named("dev");
    setting.machines.stop(&dev).await.unwrap();
    setting.machines.regenerate_certificates(&dev, ALL).await.unwrap();
    setting.machines.start(&dev, OPTIONS, &silent()).await.unwrap();
    assert_reachable(&setting, "dev", now());

    setting.machines.suspend(&dev, &silent()).await.unwrap();
    let before = files(&setting);
    let error = setting.machines.regenerate_certificates(&dev, ALL).await.unwrap_err();
    assert!(matches!(error, Error::NotRunning { state: State::Saved, .. }), "{error}");
    assert_eq!(files(&setting), before);
}

#[tokio::test]
async fn a_viewers_certificate_says_so_and_is_never_written_over_anything() {
    let setting = Setting::with_dev().await;
    let to = setting.directory.path().join("a/guest");
    setting.machines.issue_certificate(&named("dev"), Role::Viewer, &to).await.unwrap();
    let read = |file: &str| std::fs::read_to_string(to.join(file)).unwrap();
    let viewer = Identity { certificate: read("cert.pem"), private_key: read("key.pem") };
    let trusted = served(&setting, "dev").ca_certificate;
    check(&viewer, &trusted, Purpose::Client, now()).unwrap();
    let said = Description::of(&viewer.certificate).unwrap();
    assert_eq!(said.unit.as_deref(), Some(boot::VIEWER_UNIT));
    assert_eq!(read("ca.pem"), setting.read("dev", "ca.pem"));
    let mode = |path: &str| to.join(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("key.pem")), (0o700, 0o600));

    let again = setting.machines.issue_certificate(&named("dev"), Role::Admin, &to).await;
    assert!(matches!(again, Err(Error::FileExists { .. })));
    assert_eq!(read("cert.pem"), viewer.certificate);
    let admin = setting.directory.path().join("admin");
    setting.machines.issue_certificate(&named("dev"), Role::Admin, &admin).await.unwrap();
    let certificate = std::fs::read_to_string(admin.join("cert.pem")).unwrap();
    assert_eq!(Description::of(&certificate).unwrap().unit, None);
}

#[tokio::test]
async fn certificates_are_listed_with_what_is_wrong_with_them() {
    let setting = Setting::new(FakeDriver::good());
    assert!(setting.machines.certificates(None).unwrap().is_empty());
    setting.create("dev").await.unwrap();
    let all = setting.machines.certificates(None).unwrap();
    let uses: Vec<_> = all.iter().map(|one| one.usage).collect();
    let expected = [CertificateUse::Authority, CertificateUse::Server, CertificateUse::Client];
    assert_eq!(uses, expected);
    assert!(all.iter().all(|one| one.problem.is_none() && !one.renewal_due));
    assert!(all[1].names.contains(&"dev.example".to_owned()));

    let later = setting.again(FakeDriver::good()).with_clock(|| SystemTime::now() + 300 * DAY);
    let due: Vec<_> = later.certificates(None).unwrap().iter().map(|one| one.renewal_due).collect();
    assert_eq!(due, [false, true, true]);
    setting.write("dev", "cert.pem", "rubbish");
    let all = setting.machines.certificates(Some(&named("dev"))).unwrap();
    assert!(all[2].problem.is_some() && all[1].problem.is_none());
}
