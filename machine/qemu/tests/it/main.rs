//! The real QEMU, with its vCPUs standing still.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use machine_qemu::launch::{Socket, launch};
use machine_qemu::probe;
use machine_qemu::qmp::{Event, Qmp, QmpError, RunState, Transport};
use machine_qemu::spec::Architecture;
use tempfile::TempDir;
use tokio::process::Child;
use tokio::sync::mpsc::UnboundedReceiver;

struct Paused {
    qmp: Qmp,
    events: UnboundedReceiver<Event>,
    child: Child,
    directory: TempDir,
}

async fn paused() -> Paused {
    let directory = tempfile::tempdir().unwrap();
    let socket = Socket::create(&directory.path().join("qmp.sock")).unwrap();
    let board = match Architecture::HOST {
        Architecture::X86_64 => "q35",
        Architecture::Aarch64 => "virt",
    };
    let text = format!(
        "-nodefaults -no-user-config -display none -machine {board} -accel tcg -S -m 64M \
         -chardev socket,id=qmp,fd={},server=on,wait=off -mon chardev=qmp,mode=control \
         -netdev user,id=net0",
        socket.descriptor()
    );
    let arguments: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    let program = probe::locate(Architecture::HOST).unwrap();
    let log = File::create(directory.path().join("qemu.log")).unwrap();
    let child = launch(&program, &arguments, directory.path(), &[&socket], log).unwrap();
    let (qmp, events) = Qmp::open(socket.into_stream().unwrap()).await.unwrap();
    Paused { qmp, events, child, directory }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn the_qemu_of_this_host_is_usable() {
    let found = probe::probe(&probe::locate(Architecture::HOST).unwrap()).await.unwrap();
    assert!(found.version >= probe::OLDEST);
}

#[tokio::test]
async fn qemu_answers_and_ends_when_told() {
    let mut vm = paused().await;
    assert_eq!(vm.qmp.status().await.unwrap(), RunState::prelaunch);
    vm.qmp.quit().await.unwrap();
    assert!(vm.child.wait().await.unwrap().success());
    let shutdown = Event::Shutdown { reason: "host-qmp-quit".to_owned() };
    assert_eq!(vm.events.recv().await, Some(shutdown));
    assert_eq!(vm.events.recv().await, None);
}

#[tokio::test]
async fn forwards_come_and_go_while_the_machine_runs() {
    let mut vm = paused().await;
    let port = free_port();
    vm.qmp.add_forward(Transport::Tcp, port, 80).await.unwrap();
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(vm.qmp.forwards().await.unwrap(), [(Transport::Tcp, port, 80)]);
    let again = vm.qmp.add_forward(Transport::Tcp, port, 81).await;
    assert!(matches!(again, Err(QmpError::Refused(_))));

    vm.qmp.remove_forward(Transport::Tcp, port).await.unwrap();
    TcpListener::bind(("127.0.0.1", port)).unwrap();
    let again = vm.qmp.remove_forward(Transport::Tcp, port).await;
    assert!(matches!(again, Err(QmpError::Refused(_))));
    vm.child.kill().await.unwrap();
}

#[tokio::test]
async fn another_process_can_take_over_the_control_socket() {
    let mut vm = paused().await;
    drop(vm.qmp);
    let path = vm.directory.path().join("qmp.sock");
    let stream = tokio::net::UnixStream::connect(path).await.unwrap();
    let opened = tokio::time::timeout(Duration::from_secs(10), Qmp::open(stream)).await.unwrap();
    let (qmp, _events) = opened.unwrap();
    assert_eq!(qmp.status().await.unwrap(), RunState::prelaunch);
    vm.child.kill().await.unwrap();
    assert!(qmp.status().await.is_err());
}
