//! Answers the daemon: keeps its descriptors and tells it how processes ended.
//!
//! Nothing here waits: every socket is non-blocking, and what a client does not take is queued,
//! up to a limit at which the client is dropped.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::exits::{ExitRecord, Exits, ProcessKey};
use crate::protocol::{self, NAME_BYTES, PACKET_DESCRIPTORS, ReplyBody, Request, RequestBody};

/// How many exits of either sort are remembered.
const EXITS: usize = 8192;
/// A client that leaves so many answers unread is dropped.
const QUEUED_PACKETS: usize = 65_536;
/// More descriptors are refused.
const KEPT_DESCRIPTORS: usize = 65_536;
/// More clients are not accepted.
const CLIENTS: usize = 64;

/// What a client wants of PID 1 itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    PowerOff,
    Reboot,
}

#[derive(Debug)]
pub(crate) struct Service {
    listener: OwnedFd,
    clients: BTreeMap<u64, Client>,
    next_client: u64,
    kept: BTreeMap<String, Arc<OwnedFd>>,
    exits: Exits,
    /// Client and request, by the process they wait for.
    waiting: HashMap<ProcessKey, Vec<(u64, u64)>>,
    ending: Option<Ending>,
}

#[derive(Debug)]
struct Client {
    socket: OwnedFd,
    queue: VecDeque<Packet>,
}

#[derive(Debug)]
struct Packet {
    bytes: Vec<u8>,
    descriptors: Vec<Arc<OwnedFd>>,
}

impl Service {
    pub(crate) fn listen(path: &Path) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let kind = SocketType::SEQPACKET;
        let listener = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)?;
        rustix::net::bind(&listener, &SocketAddrUnix::new(path)?)?;
        rustix::net::listen(&listener, 16)?;
        Ok(Service {
            listener,
            clients: BTreeMap::new(),
            next_client: 0,
            kept: BTreeMap::new(),
            exits: Exits::new(EXITS),
            waiting: HashMap::new(),
            ending: None,
        })
    }

    /// What to wait for, in an order that [`Service::ready`] knows.
    pub(crate) fn interests(&self) -> Vec<PollFd<'_>> {
        let clients = self.clients.values().map(|client| {
            let wanted = if client.queue.is_empty() {
                PollFlags::IN
            } else {
                PollFlags::IN | PollFlags::OUT
            };
            PollFd::new(&client.socket, wanted)
        });
        [PollFd::new(&self.listener, PollFlags::IN)].into_iter().chain(clients).collect()
    }

    /// Handles what poll(2) found for [`Service::interests`].
    pub(crate) fn ready(&mut self, found: &[PollFlags]) {
        let ids: Vec<u64> = self.clients.keys().copied().collect();
        for (id, flags) in ids.into_iter().zip(found.iter().skip(1)) {
            if flags.is_empty() {
                continue;
            }
            if self.serve(id).is_err() {
                self.drop_client(id);
            }
        }
        if found.first().is_some_and(|flags| !flags.is_empty()) {
            self.accept();
        }
    }

    /// A process was reaped.
    pub(crate) fn exited(&mut self, key: ProcessKey, exit: ExitRecord) {
        self.exits.record(key, exit);
        for (client, request) in self.waiting.remove(&key).unwrap_or_default() {
            let body = ReplyBody::Exited { status: exit.status, unix_nanos: exit.unix_nanos };
            if self.answer(client, request, &body, Vec::new()).is_err() {
                self.drop_client(client);
            }
        }
    }

    /// Whether somebody wants the machine to end.
    pub(crate) fn ending(&mut self) -> Option<Ending> {
        self.ending.take()
    }

    fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        while let Ok(socket) = rustix::net::accept_with(&self.listener, flags) {
            // The directory keeps others out already; this keeps out those it was handed to.
            let root = rustix::net::sockopt::socket_peercred(&socket)
                .is_ok_and(|peer| peer.uid.is_root() || peer.uid == rustix::process::getuid());
            if root && self.clients.len() < CLIENTS {
                self.clients.insert(self.next_client, Client { socket, queue: VecDeque::new() });
                self.next_client += 1;
            }
        }
    }

    fn drop_client(&mut self, id: u64) {
        self.clients.remove(&id);
        self.waiting.retain(|_, waiters| {
            waiters.retain(|(client, _)| *client != id);
            !waiters.is_empty()
        });
    }

    /// Sends what is queued and handles what has arrived; an error means that the client is gone.
    fn serve(&mut self, id: u64) -> io::Result<()> {
        self.flush(id)?;
        loop {
            let Some(client) = self.clients.get(&id) else { return Ok(()) };
            let (bytes, descriptors) = match protocol::receive(client.socket.as_fd()) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let request: Request = serde_json::from_slice(&bytes)?;
            self.handle(id, request, descriptors)?;
        }
    }

    fn handle(
        &mut self,
        client: u64,
        request: Request,
        descriptors: Vec<OwnedFd>,
    ) -> io::Result<()> {
        let body = match request.body {
            RequestBody::Store { name } => self.store(name, descriptors),
            RequestBody::Remove { name } => {
                self.kept.remove(&name);
                ReplyBody::Done
            }
            RequestBody::List => return self.list(client, request.id),
            RequestBody::Wait { pid, start_time } => {
                let key = ProcessKey { pid, start_time };
                match self.wait(key) {
                    Some(answer) => answer,
                    None => {
                        self.waiting.entry(key).or_default().push((client, request.id));
                        return Ok(());
                    }
                }
            }
            RequestBody::PowerOff => {
                self.ending = Some(Ending::PowerOff);
                ReplyBody::Done
            }
            RequestBody::Reboot => {
                self.ending = Some(Ending::Reboot);
                ReplyBody::Done
            }
        };
        self.answer(client, request.id, &body, Vec::new())
    }

    fn store(&mut self, name: String, mut descriptors: Vec<OwnedFd>) -> ReplyBody {
        let refused = |because: &str| ReplyBody::Refused { because: because.to_owned() };
        if name.is_empty() || name.len() > NAME_BYTES {
            return refused("a name has 1 to 255 bytes");
        }
        if self.kept.len() >= KEPT_DESCRIPTORS && !self.kept.contains_key(&name) {
            return refused("too many descriptors are kept");
        }
        match (descriptors.pop(), descriptors.is_empty()) {
            (Some(descriptor), true) => {
                self.kept.insert(name, Arc::new(descriptor));
                ReplyBody::Done
            }
            _ => refused("not exactly one descriptor came with the name"),
        }
    }

    fn list(&mut self, client: u64, request: u64) -> io::Result<()> {
        let kept: Vec<_> = self.kept.iter().map(|(n, fd)| (n.clone(), fd.clone())).collect();
        let mut pages = kept.chunks(PACKET_DESCRIPTORS).peekable();
        if pages.peek().is_none() {
            let none = ReplyBody::Descriptors { names: Vec::new(), more: false };
            return self.answer(client, request, &none, Vec::new());
        }
        while let Some(page) = pages.next() {
            let (names, descriptors) = page.iter().cloned().unzip();
            let body = ReplyBody::Descriptors { names, more: pages.peek().is_some() };
            self.answer(client, request, &body, descriptors)?;
        }
        Ok(())
    }

    /// The answer, or `None` when the process still runs.
    fn wait(&mut self, key: ProcessKey) -> Option<ReplyBody> {
        if let Some(exit) = self.exits.get(key) {
            let ExitRecord { status, unix_nanos } = exit;
            return Some(ReplyBody::Exited { status, unix_nanos });
        }
        match guest_process::start_time(key.pid) {
            Ok(start_time) if start_time == key.start_time => {
                self.exits.expect(key);
                None
            }
            _ => Some(ReplyBody::NoSuchProcess),
        }
    }

    fn answer(
        &mut self,
        client: u64,
        request: u64,
        body: &ReplyBody,
        descriptors: Vec<Arc<OwnedFd>>,
    ) -> io::Result<()> {
        let bytes = serde_json::to_vec(&SentReply { id: request, body })?;
        let Some(receiver) = self.clients.get_mut(&client) else { return Ok(()) };
        if receiver.queue.len() >= QUEUED_PACKETS {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        receiver.queue.push_back(Packet { bytes, descriptors });
        self.flush(client)
    }

    fn flush(&mut self, client: u64) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(&client) else { return Ok(()) };
        while let Some(packet) = client.queue.front() {
            let descriptors: Vec<BorrowedFd<'_>> =
                packet.descriptors.iter().map(|descriptor| descriptor.as_fd()).collect();
            match protocol::send(client.socket.as_fd(), &packet.bytes, &descriptors) {
                Ok(()) => drop(client.queue.pop_front()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// [`protocol::Reply`] without owning the body.
#[derive(serde::Serialize)]
struct SentReply<'a> {
    id: u64,
    body: &'a ReplyBody,
}

#[cfg(test)]
mod tests;
