//! What is said of machines whose parts were killed, stopped or damaged.

use machine_lifecycle::driver::{Driver, Observed, Stop};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, socket};
use rustix::process::{Signal, kill_process};

use crate::harness::{Host, Running, Told};
use crate::kernel;

#[tokio::test]
async fn what_hangs_does_not_hold_up_who_asks() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let (qemu, supervisor) = (machine.qemu(), machine.supervisor().unwrap());
    for process in [qemu, supervisor] {
        kill_process(process, Signal::STOP).unwrap();
        assert_eq!(machine.glance().await, Observed::Unresponsive);
        kill_process(process, Signal::CONT).unwrap();
        machine.until(Observed::Running).await;
    }
    machine.kill_supervisor().await;
    kill_process(qemu, Signal::STOP).unwrap();
    assert_eq!(machine.glance().await, Observed::Unresponsive);
    kill_process(qemu, Signal::CONT).unwrap();
    machine.until(Observed::Running).await;
    machine.end().await;
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_process_number_of_before_a_reboot_means_nothing() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let qemu = machine.qemu();
    machine.kill_supervisor().await;
    let record = host.path("dev/vm.json");
    let text = std::fs::read_to_string(&record).unwrap();
    kill_process(qemu, Signal::KILL).unwrap();
    machine.until(Observed::Stopped).await;
    // The number belongs to a process of this boot now.
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let text = text.replace(boot.trim(), "another-boot");
    let text = text.replace(
        &format!("\"pid\":{}", qemu.as_raw_nonzero()),
        &format!("\"pid\":{}", std::process::id()),
    );
    std::fs::write(&record, text).unwrap();
    assert_eq!(machine.observe().await, Observed::Stopped);
    assert!(!machine.driver.stop(&machine.vm.machine, Stop::Kill).await.unwrap());
    machine.driver.start(&machine.vm, &Told::default()).await.unwrap();
    machine.end().await;
}

#[tokio::test]
async fn a_qemu_without_a_readable_record_is_not_called_stopped_and_can_be_ended() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    let record = host.path("dev/vm.json");
    machine.kill_supervisor().await;
    let text = std::fs::read(&record).unwrap();
    std::fs::write(&record, &text[..text.len() / 2]).unwrap();
    assert_eq!(machine.observe().await, Observed::Unresponsive);
    assert!(machine.driver.stop(&machine.vm.machine, Stop::Kill).await.unwrap());
    assert_eq!(machine.observe().await, Observed::Stopped);
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn a_real_qemu_that_nobody_wrote_down_does_not_keep_a_machine_from_starting() {
    let host = Host::new();
    let vm = host.machine(&kernel::that_hangs("up\r\n"));
    let machine = Running { driver: host.driver(), vm };
    let told = Told::default();
    {
        let starting = machine.driver.start(&machine.vm, &told);
        tokio::pin!(starting);
        tokio::select! {
            started = &mut starting => panic!("{started:?}"),
            () = machine.until_there("vm.json") => {}
        }
        let supervisor = machine.supervisor().unwrap();
        kill_process(supervisor, Signal::KILL).unwrap();
        std::fs::remove_file(host.path("dev/vm.json")).unwrap();
        starting.await.unwrap_err();
    }
    assert_eq!(machine.observe().await, Observed::Unresponsive);
    machine.driver.stop(&machine.vm.machine, Stop::Kill).await.unwrap();
    assert_eq!(machine.observe().await, Observed::Stopped);
    host.assert_nothing_is_left();
}

#[tokio::test]
async fn sockets_that_nobody_listens_on_mean_nothing() {
    let host = Host::new();
    let machine = Running::prepare(&host);
    for name in ["supervisor.sock", "qmp.sock", "docker.sock"] {
        // Without ever listening: a child of another test may keep it open for a moment.
        let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddrUnix::new(host.path("dev").join(name)).unwrap()).unwrap();
    }
    assert_eq!(machine.observe().await, Observed::Stopped);
    machine.driver.start(&machine.vm, &Told::default()).await.unwrap();
    machine.end().await;
    host.assert_nothing_is_left();
}
