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
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Child;
use tokio::sync::mpsc::UnboundedReceiver;

struct Paused {
    qmp: Qmp,
    events: UnboundedReceiver<Event>,
    child: Child,
    directory: TempDir,
}

async fn paused() -> Paused {
    qemu("").await
}

/// With more arguments.
async fn qemu(more: &str) -> Paused {
    let directory = tempfile::tempdir().unwrap();
    let socket = Socket::create(&directory.path().join("qmp.sock")).unwrap();
    let board = match Architecture::HOST {
        Architecture::X86_64 => "q35",
        Architecture::Aarch64 => "virt",
    };
    let text = format!(
        "-nodefaults -no-user-config -display none -machine {board} -accel tcg -S -m 64M \
         -chardev socket,id=qmp,fd={},server=on,wait=off -mon chardev=qmp,mode=control \
         -netdev user,id=net0 {more}",
        socket.descriptor()
    );
    let arguments: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    let program = probe::locate(Architecture::HOST).unwrap();
    let log = File::create(directory.path().join("qemu.log")).unwrap();
    let child = launch(&program, &arguments, directory.path(), &[&socket], log).unwrap();
    let (qmp, events) = Qmp::open(socket.into_stream().unwrap()).await.unwrap();
    Paused { qmp, events, child, directory }
}

/// Keeps all that is sent to a listening socket.
async fn receive(listener: UnixListener) -> Vec<u8> {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut state = Vec::new();
    stream.read_to_end(&mut state).await.unwrap();
    state
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
    let stream = UnixStream::connect(path).await.unwrap();
    let opened = tokio::time::timeout(Duration::from_secs(60), Qmp::open(stream)).await.unwrap();
    let (qmp, _events) = opened.unwrap();
    assert_eq!(qmp.status().await.unwrap(), RunState::prelaunch);
    vm.child.kill().await.unwrap();
    assert!(qmp.status().await.is_err());
}

/// It gives up what the product's QEMU gives up.
const SANDBOX: &str = "-sandbox \
    on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

#[tokio::test]
async fn what_one_qemu_has_sent_another_one_loads() {
    let mut source = qemu(SANDBOX).await;
    let listener = UnixListener::bind(source.directory.path().join("out.sock")).unwrap();
    let (saved, state) = tokio::join!(
        async { source.qmp.save("./out.sock").await.unwrap().finished().await },
        receive(listener)
    );
    saved.unwrap();
    assert_eq!(source.qmp.status().await.unwrap(), RunState::postmigrate);
    source.child.kill().await.unwrap();

    let mut target = qemu(&format!("{SANDBOX} -incoming defer")).await;
    assert_eq!(target.qmp.status().await.unwrap(), RunState::inmigrate);
    let loading = target.qmp.load("./in.sock").await.unwrap();
    let path = target.directory.path().join("in.sock");
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream.write_all(&state).await.unwrap();
    drop(stream);
    loading.finished().await.unwrap();
    assert_eq!(target.qmp.status().await.unwrap(), RunState::prelaunch);
    target.qmp.resume().await.unwrap();
    assert_eq!(target.qmp.status().await.unwrap(), RunState::running);
    target.child.kill().await.unwrap();
}

#[tokio::test]
async fn a_qemu_whose_stream_breaks_goes_on_and_says_why() {
    let mut source = paused().await;
    source.qmp.resume().await.unwrap();
    source.qmp.stop().await.unwrap();
    let listener = UnixListener::bind(source.directory.path().join("out.sock")).unwrap();
    let (saved, ()) = tokio::join!(
        async { source.qmp.save("./out.sock").await.unwrap().finished().await },
        async { drop(listener.accept().await.unwrap()) }
    );
    assert!(matches!(saved, Err(QmpError::Refused(_))), "{saved:?}");
    source.qmp.resume().await.unwrap();
    assert_eq!(source.qmp.status().await.unwrap(), RunState::running);
    source.child.kill().await.unwrap();
}

#[tokio::test]
async fn a_save_that_nobody_reads_can_be_cancelled() {
    // More than fits into the socket, although all of it is empty.
    let mut source = qemu("-m 1G").await;
    source.qmp.cancel_save().await.unwrap();
    let listener = UnixListener::bind(source.directory.path().join("out.sock")).unwrap();
    let saving = source.qmp.save("./out.sock").await.unwrap();
    let _unread = listener.accept().await.unwrap();
    let (saved, cancelled) = tokio::join!(saving.finished(), source.qmp.cancel_save());
    cancelled.unwrap();
    saved.unwrap_err();
    source.qmp.resume().await.unwrap();
    source.child.kill().await.unwrap();
}

#[tokio::test]
async fn a_qemu_that_is_given_garbage_ends() {
    let mut target = qemu("-incoming defer").await;
    let loading = target.qmp.load("./in.sock").await.unwrap();
    let path = target.directory.path().join("in.sock");
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream.write_all(&[7; 4096]).await.ok();
    loading.finished().await.unwrap_err();
    assert!(!target.child.wait().await.unwrap().success());
}
