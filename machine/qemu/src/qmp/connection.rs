//! One QMP connection: many commands at once, each answered to its own caller, events aside.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use qapi::qmp::{self, QmpCommand};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::Event;
use crate::lines;

/// QEMU answers in milliseconds; when it does not, it hangs.
const ANSWER_BOUND: Duration = Duration::from_secs(10);

/// Why a command has no result.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// In QEMU's own words.
    #[error("{0}")]
    Refused(String),
    #[error("QEMU closed its control socket")]
    Closed,
    #[error("QEMU does not answer")]
    Silent,
    #[error("QEMU's answer was not understood")]
    Malformed(#[source] serde_json::Error),
    #[error("QEMU's control socket failed")]
    Io(#[from] io::Error),
}

type Answer = Result<Value, String>;
type Pending = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>>;

/// An open QMP connection. Dropping it closes it.
#[derive(Debug)]
pub struct Qmp {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    /// Who waits for which answer; `None` once QEMU has closed the connection.
    pending: Pending,
    next_id: AtomicU64,
    /// What a migration came to last, in QEMU's words; ends with the connection.
    migration: watch::Receiver<String>,
    reader: JoinHandle<()>,
}

impl Drop for Qmp {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Qmp {
    /// Waits for QEMU's greeting and negotiates. The receiver yields every event and ends when
    /// QEMU does.
    pub async fn open(
        stream: UnixStream,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Event>), QmpError> {
        let (read, write) = stream.into_split();
        let mut read = BufReader::new(read);
        let greeting = lines::read_until(&mut read, b'\n').await?.ok_or(QmpError::Closed)?;
        let _: Greeting = serde_json::from_slice(&greeting).map_err(QmpError::Malformed)?;

        let pending: Pending = Arc::new(Mutex::new(Some(HashMap::new())));
        let (events, receiver) = mpsc::unbounded_channel();
        let (migrates, migration) = watch::channel(String::new());
        let reader = tokio::spawn(receive(read, pending.clone(), events, migrates));
        let writer = tokio::sync::Mutex::new(write);
        let client = Self { writer, pending, next_id: AtomicU64::new(1), migration, reader };
        client.execute(qmp::qmp_capabilities { enable: None }).await?;
        Ok((client, receiver))
    }

    /// What migrations come to from now on.
    pub(super) fn migration_states(&self) -> watch::Receiver<String> {
        let mut states = self.migration.clone();
        states.mark_unchanged();
        states
    }

    /// Sends a command and waits for its answer.
    pub async fn execute<C: QmpCommand>(&self, command: C) -> Result<C::Ok, QmpError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut line = serde_json::to_vec(&qapi::Execute::with_id(command, id))
            .map_err(QmpError::Malformed)?;
        line.push(b'\n');

        let (sender, receiver) = oneshot::channel();
        match self.pending.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(waiting) => drop(waiting.insert(id, sender)),
            None => return Err(QmpError::Closed),
        }
        let exchange = async {
            self.writer.lock().await.write_all(&line).await.map_err(closed_or)?;
            receiver.await.map_err(|_| QmpError::Closed)
        };
        let answer = match tokio::time::timeout(ANSWER_BOUND, exchange).await {
            Ok(answer) => answer?,
            Err(_) => return Err(QmpError::Silent),
        };
        serde_json::from_value(answer.map_err(QmpError::Refused)?).map_err(QmpError::Malformed)
    }
}

fn closed_or(error: io::Error) -> QmpError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => QmpError::Closed,
        _ => QmpError::Io(error),
    }
}

#[derive(Deserialize)]
struct Greeting {
    #[serde(rename = "QMP")]
    _qmp: Value,
}

#[derive(Deserialize)]
struct Message {
    id: Option<u64>,
    event: Option<String>,
    #[serde(default)]
    data: Value,
    #[serde(rename = "return")]
    result: Option<Value>,
    error: Option<Complaint>,
}

#[derive(Deserialize)]
struct Complaint {
    desc: String,
}

async fn receive(
    mut read: BufReader<OwnedReadHalf>,
    pending: Pending,
    events: mpsc::UnboundedSender<Event>,
    migrates: watch::Sender<String>,
) {
    while let Ok(Some(line)) = lines::read_until(&mut read, b'\n').await {
        let Ok(message) = serde_json::from_slice::<Message>(&line) else { continue };
        if let Some(name) = message.event {
            if name == "MIGRATION" {
                let state = message.data["status"].as_str().unwrap_or_default();
                migrates.send_replace(state.to_owned());
            }
            // Nobody may be interested in events.
            events.send(Event::from_json(&name, &message.data)).ok();
        } else if let Some(id) = message.id {
            let waiting = pending
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .as_mut()
                .and_then(|waiting| waiting.remove(&id));
            let answer = match message.error {
                Some(complaint) => Err(complaint.desc),
                None => Ok(message.result.unwrap_or_default()),
            };
            // The caller may have given up.
            waiting.and_then(|waiting| waiting.send(answer).ok());
        }
    }
    // Who still waits is told by the drop of its sender.
    pending.lock().unwrap_or_else(PoisonError::into_inner).take();
}
