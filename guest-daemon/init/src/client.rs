//! The daemon's side of the conversation with init.

use std::collections::HashMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use guest_process::AsyncDescriptor;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::protocol::{self, Reply, ReplyBody, Request, RequestBody};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// As waitpid(2) reports it.
    pub status: i32,
    /// When, in nanoseconds since 1970.
    pub unix_nanos: i128,
}

/// A connection to init; clones share it.
#[derive(Clone, Debug)]
pub struct InitClient {
    connection: Arc<Connection>,
}

#[derive(Debug)]
struct Connection {
    socket: Arc<AsyncDescriptor>,
    pending: Arc<Pending>,
    next_id: AtomicU64,
    reader: AbortHandle,
}

impl InitClient {
    /// Connects to PID 1. Must be called within a tokio runtime.
    pub fn connect() -> io::Result<InitClient> {
        Self::connect_to(Path::new(protocol::SOCKET_PATH))
    }

    pub(crate) fn connect_to(path: &Path) -> io::Result<InitClient> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        let socket = Arc::new(AsyncDescriptor::new(socket)?);
        let pending = Arc::new(Pending::default());
        let reader = tokio::spawn(read_replies(socket.clone(), pending.clone())).abort_handle();
        let connection = Connection { socket, pending, next_id: AtomicU64::new(1), reader };
        Ok(InitClient { connection: Arc::new(connection) })
    }

    /// Lets init keep a copy of a descriptor across restarts of the daemon. One of the same name
    /// is replaced.
    pub async fn store(&self, name: &str, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.done(RequestBody::Store { name: name.to_owned() }, &[fd]).await
    }

    /// When this returns init's copy is closed. Succeeds when there is none.
    pub async fn remove(&self, name: &str) -> io::Result<()> {
        self.done(RequestBody::Remove { name: name.to_owned() }, &[]).await
    }

    /// Everything that is kept, sorted by name.
    pub async fn list(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let answer = self.ask(RequestBody::List, &[]).await?;
        match answer.body {
            ReplyBody::Descriptors { .. } => {
                if answer.names.len() == answer.descriptors.len() {
                    Ok(answer.names.into_iter().zip(answer.descriptors).collect())
                } else {
                    Err(io::Error::new(io::ErrorKind::InvalidData, "descriptors were lost"))
                }
            }
            other => Err(unexpected(other)),
        }
    }

    /// How a process that is, or will be, a child of init ended; at once if it has already.
    /// `NotFound` if such a process neither runs nor was recorded.
    pub async fn wait(&self, pid: i32, start_time: u64) -> io::Result<Exit> {
        match self.ask(RequestBody::Wait { pid, start_time }, &[]).await?.body {
            ReplyBody::Exited { status, unix_nanos } => {
                Ok(Exit { status, unix_nanos: unix_nanos.into() })
            }
            other => Err(unexpected(other)),
        }
    }

    /// Ends the daemon, every process and the machine.
    pub async fn power_off(&self) -> io::Result<()> {
        self.done(RequestBody::PowerOff, &[]).await
    }

    /// As [`InitClient::power_off`], and starts again.
    pub async fn reboot(&self) -> io::Result<()> {
        self.done(RequestBody::Reboot, &[]).await
    }

    async fn done(&self, body: RequestBody, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        match self.ask(body, descriptors).await?.body {
            ReplyBody::Done => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    async fn ask(&self, body: RequestBody, descriptors: &[BorrowedFd<'_>]) -> io::Result<Answer> {
        let connection = &self.connection;
        let id = connection.next_id.fetch_add(1, Ordering::Relaxed);
        let packet = serde_json::to_vec(&Request { id, body })?;
        let (sender, receiver) = oneshot::channel();
        // Removes the entry when the caller loses interest.
        let _entry = connection.pending.insert(id, sender)?;
        let send = |socket: BorrowedFd<'_>| protocol::send(socket, &packet, descriptors);
        connection.socket.write_with(send).await?;
        receiver.await.map_err(|_| gone())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// A complete answer: the pages of a list are put together.
#[derive(Debug)]
struct Answer {
    body: ReplyBody,
    names: Vec<String>,
    descriptors: Vec<OwnedFd>,
}

#[derive(Debug, Default)]
struct Pending {
    state: Mutex<PendingState>,
}

#[derive(Debug, Default)]
struct PendingState {
    closed: bool,
    waiters: HashMap<u64, Waiter>,
}

#[derive(Debug)]
struct Waiter {
    sender: oneshot::Sender<Answer>,
    names: Vec<String>,
    descriptors: Vec<OwnedFd>,
}

struct Entry<'a> {
    pending: &'a Pending,
    id: u64,
}

impl Pending {
    fn insert(&self, id: u64, sender: oneshot::Sender<Answer>) -> io::Result<Entry<'_>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(gone());
        }
        let waiter = Waiter { sender, names: Vec::new(), descriptors: Vec::new() };
        state.waiters.insert(id, waiter);
        Ok(Entry { pending: self, id })
    }

    fn deliver(&self, reply: Reply, descriptors: Vec<OwnedFd>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiter) = state.waiters.get_mut(&reply.id) else { return };
        waiter.descriptors.extend(descriptors);
        if let ReplyBody::Descriptors { names, more } = &reply.body {
            waiter.names.extend(names.iter().cloned());
            if *more {
                return;
            }
        }
        if let Some(Waiter { sender, names, descriptors }) = state.waiters.remove(&reply.id) {
            // Nobody waits any more when this fails; the descriptors are closed with it.
            drop(sender.send(Answer { body: reply.body, names, descriptors }));
        }
    }

    fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        state.waiters.clear();
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut state = self.pending.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiters.remove(&self.id);
    }
}

async fn read_replies(socket: Arc<AsyncDescriptor>, pending: Arc<Pending>) {
    while let Ok((bytes, descriptors)) = socket.read_with(protocol::receive).await {
        // An empty packet is the end.
        match serde_json::from_slice(&bytes) {
            Ok(reply) => pending.deliver(reply, descriptors),
            Err(_) => break,
        }
    }
    pending.close();
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "init closed the connection")
}

fn unexpected(body: ReplyBody) -> io::Error {
    match body {
        ReplyBody::NoSuchProcess => {
            io::Error::new(io::ErrorKind::NotFound, "such a process neither runs nor was recorded")
        }
        ReplyBody::Refused { because } => io::Error::other(because),
        ReplyBody::Done | ReplyBody::Descriptors { .. } | ReplyBody::Exited { .. } => {
            io::Error::new(io::ErrorKind::InvalidData, "an answer to another question")
        }
    }
}
