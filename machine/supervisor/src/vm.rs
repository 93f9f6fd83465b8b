//! A QEMU that runs, and the lines to it and to its guest.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use boot::{GuestMessage, HostMessage};
use machine_qemu::agent::Agent;
use machine_qemu::qmp::{Event, Qmp};
use machine_qemu::spec::{Accelerator, MachineType};
use machine_store::atomic::{self, Access};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex, mpsc, watch};

use crate::files::{self, AGENT_SOCKET, CONTROL_SOCKET, QMP_SOCKET, VM_RECORD};
use crate::journal::note;
use crate::process::ProcessIdentity;
use crate::protocol;

/// What is written down of a running VM, to find and judge it when its supervisor is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) qemu: ProcessIdentity,
    pub(crate) accelerator: Accelerator,
    pub(crate) machine: MachineType,
    /// Its API has answered once.
    pub(crate) proved: bool,
}

impl Record {
    /// The record of a VM that is alive.
    pub(crate) fn of_a_living_vm(directory: &Path) -> Option<Self> {
        let content = std::fs::read(directory.join(VM_RECORD)).ok()?;
        let record: Self = serde_json::from_slice(&content).ok()?;
        record.qemu.is_alive().then_some(record)
    }

    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        let content = serde_json::to_vec(self)?;
        atomic::write(&directory.join(VM_RECORD), &content, Access::Owner).map_err(io::Error::other)
    }
}

/// Why QEMU is gone, once it is.
pub(crate) type Exit = watch::Receiver<Option<String>>;

/// What can be done to a running VM, from several tasks at once.
#[derive(Debug)]
pub(crate) struct Vm {
    pub(crate) record: Record,
    pub(crate) qmp: Qmp,
    pub(crate) agent: Mutex<Agent>,
    control: Mutex<OwnedWriteHalf>,
}

/// What comes from a running VM; whoever has it is the VM's owner.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    pub(crate) guest: mpsc::Receiver<GuestMessage>,
    pub(crate) exit: Exit,
}

/// The sockets of a VM, connected.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) qmp: Qmp,
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    pub(crate) control: UnixStream,
    pub(crate) agent: UnixStream,
}

impl Vm {
    pub(crate) fn new(record: Record, streams: Streams, exit: Exit) -> (Arc<Self>, Sources) {
        let (read, write) = streams.control.into_split();
        let vm = Self {
            record,
            qmp: streams.qmp,
            agent: Mutex::new(Agent::new(streams.agent)),
            control: Mutex::new(write),
        };
        (Arc::new(vm), Sources { events: streams.events, guest: listen(read), exit })
    }

    /// Says something to the guest's daemon, which may not be there to hear it.
    pub(crate) async fn tell(&self, message: &HostMessage) {
        let sent = async {
            let line = protocol::line(message)?;
            // A guest that does not read must not keep the owner from its other work.
            let mut control = self.control.lock().await;
            tokio::time::timeout(Duration::from_secs(1), control.write_all(&line)).await?
        };
        if let Err(error) = sent.await {
            note(format_args!("the guest was not told {message:?}: {error}"));
        }
    }
}

/// Takes over a VM whose supervisor is gone.
pub(crate) async fn adopt(directory: &Path, record: Record) -> io::Result<(Arc<Vm>, Sources)> {
    let qmp = connect(directory, QMP_SOCKET)?;
    let opened = tokio::time::timeout(Duration::from_secs(2), Qmp::open(qmp)).await?;
    let (qmp, events) = opened.map_err(io::Error::other)?;
    let control = connect(directory, CONTROL_SOCKET)?;
    let agent = connect(directory, AGENT_SOCKET)?;
    let (sender, exit) = watch::channel(None);
    let process = record.qemu.clone();
    tokio::spawn(async move {
        while !process.gone_within(Duration::from_secs(3600)).await {}
        sender.send_replace(Some("QEMU ended".to_owned()));
    });
    Ok(Vm::new(record, Streams { qmp, events, control, agent }, exit))
}

pub(crate) fn connect(directory: &Path, name: &str) -> io::Result<UnixStream> {
    let stream = files::connect(directory, name)?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// Reads what the guest says; a line that is not understood is passed over.
fn listen(read: OwnedReadHalf) -> mpsc::Receiver<GuestMessage> {
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(async move {
        let mut read = BufReader::new(read);
        loop {
            match protocol::receive(&mut read).await {
                Ok(Some(message)) => {
                    if sender.send(message).await.is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    note(format_args!("the guest said something else: {error}"));
                    if error.kind() != io::ErrorKind::InvalidData
                        && error.kind() != io::ErrorKind::UnexpectedEof
                    {
                        return;
                    }
                }
            }
        }
    });
    receiver
}

/// Waits for QEMU's end.
pub(crate) async fn ended(exit: &mut Exit) -> String {
    match exit.wait_for(Option::is_some).await {
        Ok(reason) => reason.clone().unwrap_or_default(),
        Err(_) => "QEMU ended".to_owned(),
    }
}
