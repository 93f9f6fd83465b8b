//! Starts that fail: each says why in one error and leaves nothing behind.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use machine_lifecycle::driver::{Acceleration, Driver, DriverError, Observed, Stop, VmSpec};
use machine_supervisor::QemuDriver;

use crate::harness::{Host, PATIENCE, Told};
use crate::kernel;

async fn failure(driver: &QemuDriver, vm: &VmSpec) -> DriverError {
    driver.start(vm, &Told::default()).await.unwrap_err()
}

#[tokio::test]
async fn a_guest_that_never_gets_ready_is_given_up_with_its_last_words() {
    let host = Host::new();
    let vm = VmSpec {
        timeout: Duration::from_secs(6),
        ..host.machine(&kernel::that_hangs("one\r\ntwo\r\n"))
    };
    let error = failure(&host.driver(), &vm).await;
    let DriverError::Timeout { phase, seconds, console } = error else { panic!("{error:?}") };
    assert_eq!((phase.as_str(), seconds), ("booting the guest", 6));
    assert_eq!(console, ["one", "two"]);
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_guest_that_crashes_ends_the_start_at_once_with_its_last_words() {
    let host = Host::new();
    let vm = host.machine(&kernel::that_crashes("oops\r\n"));
    let error = failure(&host.driver(), &vm).await;
    assert_eq!(
        error.to_string(),
        "the machine ended while booting the guest: the guest restarted, as it does after a panic"
    );
    assert!(matches!(error, DriverError::Died { console, .. } if console == ["oops"]));
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_disk_is_grown_before_the_guest_runs() {
    let host = Host::new();
    let vm = host.machine(&kernel::that_crashes(""));
    failure(&host.driver(), &vm).await;
    assert_eq!(machine_qemu::disk::virtual_size(&vm.disk).unwrap(), 32 << 20);
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let host = Host::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let vm = VmSpec { api_port: port, ..host.machine(&kernel::that_hangs("")) };
    let error = failure(&host.driver(), &vm).await;
    assert_eq!(error.to_string(), format!("port {port} on 127.0.0.1 is taken"));
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn what_qemu_says_about_its_end_is_told() {
    let host = Host::new();
    let vm = host.machine(b"not a kernel");
    let error = failure(&host.driver(), &vm).await;
    let text = error.to_string();
    assert!(text.starts_with("the machine ended while starting QEMU: QEMU ended with status 1: "));
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn an_old_qemu_is_refused() {
    let host = Host::new();
    let vm = host.machine(&kernel::that_hangs(""));
    let driver = host.driver_with_qemu("echo QEMU emulator version 6.2.0");
    let error = failure(&driver, &vm).await;
    assert!(matches!(error, DriverError::QemuTooOld { found, .. } if found == "6.2.0"));
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_missing_supervisor_is_named() {
    let host = Host::new();
    let vm = host.machine(&kernel::that_hangs(""));
    let error = failure(&QemuDriver::new("/nonexistent/machine".into()), &vm).await;
    assert!(error.to_string().contains("/nonexistent/machine"));
}

#[tokio::test]
async fn a_command_that_is_killed_takes_its_half_started_machine_with_it() {
    let host = Host::new();
    let vm = host.machine(&kernel::that_hangs("up\r\n"));
    let (driver, told) = (host.driver(), Told::default());
    {
        let starting = driver.start(&vm, &told);
        tokio::pin!(starting);
        until(&driver, &vm, Observed::Starting, Some(starting)).await;
    }
    // The command's end of the pipes is closed, as it is when it is killed.
    until::<std::future::Pending<()>>(&driver, &vm, Observed::Stopped, None).await;
    assert!(!driver.stop(&vm.machine, Stop::Kill).await.unwrap_or(false));
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_machine_that_starts_can_be_killed_and_refuses_a_second_start() {
    let host = Host::new();
    let vm = host.machine(&kernel::that_hangs("up\r\n"));
    let (driver, told) = (host.driver(), Told::default());
    let starting = driver.start(&vm, &told);
    let meddling = async {
        until::<std::future::Pending<()>>(&driver, &vm, Observed::Starting, None).await;
        let busy = failure(&driver, &vm).await;
        assert!(matches!(busy, DriverError::Busy { name } if name == "dev"));
        assert!(driver.stop(&vm.machine, Stop::Kill).await.unwrap());
    };
    let (started, ()) = tokio::join!(starting, meddling);
    let text = started.unwrap_err().to_string();
    assert_eq!(text, "the machine was stopped while it started");
    assert_eq!(driver.observe(&vm.machine, PATIENCE).await.unwrap(), Observed::Stopped);
    assert!(!driver.stop(&vm.machine, Stop::Kill).await.unwrap());
    host.assert_nothing_is_left();
}

/// Observes until the machine is as wanted, while something else goes on.
async fn until<F: Future>(
    driver: &QemuDriver,
    vm: &VmSpec,
    wanted: Observed,
    mut meanwhile: Option<std::pin::Pin<&mut F>>,
) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let observe = driver.observe(&vm.machine, PATIENCE);
        let observed = match meanwhile.as_mut() {
            None => observe.await.unwrap(),
            Some(other) => tokio::select! {
                observed = observe => observed.unwrap(),
                _ = other.as_mut() => panic!("it ended too soon"),
            },
        };
        if observed == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "still {observed:?}");
        // There is nothing to wait on for what another process is about to do.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A KVM on which guests die differs from host to host; this QEMU fails like one of them.
const KVM_FAILS: &str = r#"
case "$*" in *"-accel kvm"*)
    echo "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69" >&2
    kill -ABRT $$
esac
exec "$QEMU" "$@""#;

#[tokio::test]
async fn a_kvm_that_cannot_run_a_guest_is_replaced_with_one_warning() {
    if !std::fs::exists("/dev/kvm").unwrap() {
        return;
    }
    let host = Host::new();
    let driver = host.driver_with_qemu(KVM_FAILS);
    let vm = host.machine(&kernel::that_crashes("emulated\r\n"));
    let vm = VmSpec { acceleration: Acceleration::Auto, ..vm };
    let told = Told::default();
    let error = driver.start(&vm, &told).await.unwrap_err();
    assert!(matches!(error, DriverError::Died { console, .. } if console == ["emulated"]));
    assert_eq!(
        *told.warnings.lock().unwrap(),
        ["KVM is present but cannot run a guest here (failed to set MSR 0x10a to 0x69); \
          using plain emulation, which is slower"]
    );
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_forced_kvm_that_cannot_run_a_guest_fails() {
    if !std::fs::exists("/dev/kvm").unwrap() {
        return;
    }
    let host = Host::new();
    let driver = host.driver_with_qemu(KVM_FAILS);
    let vm = host.machine(&kernel::that_hangs(""));
    let vm = VmSpec { acceleration: Acceleration::Kvm, ..vm };
    let error = failure(&driver, &vm).await;
    assert_eq!(
        error.to_string(),
        "KVM does not work on this host: failed to set MSR 0x10a to 0x69"
    );
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_kvm_that_silently_runs_nothing_is_replaced_too() {
    if !std::fs::exists("/dev/kvm").unwrap() {
        return;
    }
    let host = Host::new();
    // It claims to be KVM, and the guest never says a word.
    let driver = host.driver_with_qemu(
        r#"for word; do
            case "$word" in kvm) word=tcg;; host) word=max;; esac
            set -- "$@" "$word"; shift
        done
        exec "$QEMU" "$@""#,
    );
    let vm = host.machine(&kernel::that_hangs(""));
    let timeout = Duration::from_secs(12);
    let vm = VmSpec { acceleration: Acceleration::Auto, timeout, ..vm };
    let told = Told::default();
    driver.start(&vm, &told).await.unwrap_err();
    let warnings = told.warnings.lock().unwrap().clone();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("(the guest shows no sign of life within 5 s)"), "{warnings:?}");
    host.assert_nothing_is_left();
}
