//! A QEMU that runs, and the lines to it and to its guest.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use boot::{GuestMessage, HostMessage};
use machine_lifecycle::driver::DriverError;
use machine_qemu::agent::Agent;
use machine_qemu::qmp::{Event, Qmp};
use machine_store::atomic::{self, Access};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::files::{self, AGENT_SOCKET, CONTROL_SOCKET, QMP_SOCKET, VM_RECORD};
use crate::journal::note;
use crate::process::ProcessIdentity;
use crate::protocol;
use crate::saved_state::Hardware;

/// How long a QEMU that has not run anything may take to end.
const STRAY_BOUND: Duration = Duration::from_secs(5);

/// What is written down of a running VM, to find and judge it when its supervisor is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) qemu: ProcessIdentity,
    pub(crate) hardware: Hardware,
    /// Its API has answered once.
    pub(crate) proved: bool,
    /// Where its memory goes at this moment. Once that file is there the VM is over, because its
    /// disk must stay as it is.
    pub(crate) saved_to: Option<PathBuf>,
}

impl Record {
    /// The record of a VM that is alive.
    pub(crate) fn of_a_living_vm(directory: &Path) -> Option<Self> {
        let content = std::fs::read(directory.join(VM_RECORD)).ok()?;
        let record: Self = serde_json::from_slice(&content).ok()?;
        record.qemu.is_alive().then_some(record)
    }

    /// Whether it only has to be ended, because it goes on from a file the next time.
    pub(crate) fn is_saved(&self) -> bool {
        self.saved_to.as_ref().is_some_and(|state| state.exists())
    }

    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        let content = serde_json::to_vec(self)?;
        atomic::write(&directory.join(VM_RECORD), &content, Access::Owner).map_err(io::Error::other)
    }
}

/// What QEMU reports by itself.
pub(crate) type Events = mpsc::UnboundedReceiver<Event>;

/// Why QEMU is gone, once it is.
pub(crate) type Exit = watch::Receiver<Option<String>>;

/// What can be done to a running VM, from several tasks at once.
#[derive(Debug)]
pub(crate) struct Vm {
    pub(crate) record: Record,
    pub(crate) qmp: Qmp,
    pub(crate) agent: Mutex<Agent>,
    control: Mutex<OwnedWriteHalf>,
    questions: Questions,
}

/// What the guest's daemon has been asked and has not answered yet.
#[derive(Debug)]
struct Questions {
    next_id: AtomicU64,
    open: std::sync::Mutex<HashMap<u64, oneshot::Sender<Result<(), String>>>>,
}

/// What comes from a running VM; whoever has it is the VM's owner.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) events: Events,
    pub(crate) guest: mpsc::Receiver<GuestMessage>,
    pub(crate) exit: Exit,
}

/// The sockets of a VM, connected.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) qmp: Qmp,
    pub(crate) events: Events,
    pub(crate) control: UnixStream,
    pub(crate) agent: Agent,
}

impl Vm {
    pub(crate) fn new(record: Record, streams: Streams, exit: Exit) -> (Arc<Self>, Sources) {
        let (read, write) = streams.control.into_split();
        let vm = Self {
            record,
            qmp: streams.qmp,
            agent: Mutex::new(streams.agent),
            control: Mutex::new(write),
            questions: Questions {
                // An answer to an earlier supervisor must not be taken for one to this.
                next_id: AtomicU64::new(u64::from(std::process::id()) << 20),
                open: std::sync::Mutex::default(),
            },
        };
        (Arc::new(vm), Sources { events: streams.events, guest: listen(read), exit })
    }

    /// Makes itself known to a guest that has run under another host: neither QEMU nor Linux tells
    /// it reliably that its line was closed and opened again. What that host had begun to say is
    /// ended by the empty line.
    pub(crate) async fn greet(&self) {
        self.say(&HostMessage::Hello, b"\n").await;
    }

    /// Says something to the guest's daemon, which may not be there to hear it.
    pub(crate) async fn tell(&self, message: &HostMessage) {
        self.say(message, b"").await;
    }

    async fn say(&self, message: &HostMessage, before: &[u8]) {
        let sent = async {
            let line = [before, &protocol::line(message)?].concat();
            // A guest that does not read must not keep the owner from its other work.
            let mut control = self.control.lock().await;
            tokio::time::timeout(Duration::from_secs(1), control.write_all(&line)).await?
        };
        if let Err(error) = sent.await {
            note(format_args!("the guest was not told {message:?}: {error}"));
        }
    }
}

impl Vm {
    /// Asks the guest's daemon, whose answer the VM's owner passes on to [`Self::answered`].
    pub(crate) async fn ask(
        &self,
        question: impl FnOnce(u64) -> HostMessage,
        bound: Duration,
    ) -> Result<(), String> {
        let id = self.questions.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.open_questions().insert(id, sender);
        let answer = tokio::time::timeout(bound, async {
            self.tell(&question(id)).await;
            answer.await
        });
        let answer = answer.await;
        self.open_questions().remove(&id);
        match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err("the guest's daemon does not answer".to_owned()),
        }
    }

    /// The guest's daemon has answered a question.
    pub(crate) fn answered(&self, id: u64, result: Result<(), String>) {
        // Who asked may have given up.
        let asker = self.open_questions().remove(&id);
        asker.and_then(|asker| asker.send(result).ok());
    }

    fn open_questions(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Result<(), String>>>> {
        self.questions.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes what a VM has left, unless it is alive.
pub(crate) fn sweep(directory: &Path) {
    if Record::of_a_living_vm(directory).is_none() {
        files::sweep(directory);
    }
}

/// The control socket of a QEMU that was not written down, or whose record cannot be read: its
/// supervisor was killed at the wrong moment.
pub(crate) fn stray(directory: &Path) -> Option<UnixStream> {
    if Record::of_a_living_vm(directory).is_some() {
        return None;
    }
    connect(directory, QMP_SOCKET).ok()
}

/// Ends such a QEMU.
pub(crate) async fn end_stray(stream: UnixStream) -> Result<(), DriverError> {
    let ended = async {
        let (qmp, mut events) = Qmp::open(stream).await.ok()?;
        qmp.quit().await.ok()?;
        // They end with QEMU.
        while events.recv().await.is_some() {}
        Some(())
    };
    match tokio::time::timeout(STRAY_BOUND, ended).await {
        Ok(Some(())) => Ok(()),
        Ok(None) | Err(_) => Err(DriverError::Failed(
            "a QEMU of this machine that nobody knows runs and does not end".to_owned(),
        )),
    }
}

/// The lines to a VM whose supervisor is gone, except the one that its daemon hears of.
pub(crate) async fn reach(directory: &Path) -> io::Result<(Qmp, Events, Agent)> {
    let qmp = connect(directory, QMP_SOCKET)?;
    let opened = tokio::time::timeout(Duration::from_secs(2), Qmp::open(qmp)).await?;
    let (qmp, events) = opened.map_err(io::Error::other)?;
    Ok((qmp, events, Agent::new(connect(directory, AGENT_SOCKET)?)))
}

/// Takes it over.
pub(crate) fn adopt(
    directory: &Path,
    record: Record,
    (qmp, events, agent): (Qmp, Events, Agent),
) -> io::Result<(Arc<Vm>, Sources)> {
    let control = connect(directory, CONTROL_SOCKET)?;
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
