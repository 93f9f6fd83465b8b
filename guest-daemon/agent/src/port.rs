//! A virtio-serial port, found by its name.
//!
//! While no host is connected such a port is "hung up": it is always ready, reads end at once and
//! writes would block. Level-triggered waiting would spin, and tokio treats a hang-up as final. So
//! each port sits, edge-triggered, in an epoll set of its own, and tokio watches that set: it is
//! ready when something has changed.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use guest_process::AsyncDescriptor;
use rustix::event::epoll;
use rustix::fs::{Mode, OFlags};
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
use tokio::sync::mpsc;

const NAMES: &str = "/sys/class/virtio-ports";
const CHUNK_BYTES: usize = 4096;
const QUEUED_CHUNKS: usize = 64;
/// The kernel's group of events that udev would hear.
const KERNEL_EVENTS: u32 = 1;

/// What comes from the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortEvent {
    /// A host is there, for the first time or again.
    Connected,
    Bytes(Vec<u8>),
}

/// Takes what goes to the host. Nothing is lost while no host is connected, but writing waits
/// when much is queued.
#[derive(Clone, Debug)]
pub struct PortWriter {
    sender: mpsc::Sender<Vec<u8>>,
}

impl PortWriter {
    /// A writer into a channel of this length instead of a port.
    pub fn channel(length: usize) -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (sender, receiver) = mpsc::channel(length);
        (PortWriter { sender }, receiver)
    }

    /// Queues all of it, in one piece. An error means that the port is gone.
    pub async fn write(&self, bytes: Vec<u8>) -> io::Result<()> {
        self.sender.send(bytes).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// An open port.
#[derive(Debug)]
pub struct Port {
    device: OwnedFd,
    changes: AsyncDescriptor,
}

impl Port {
    /// Opens the port of this name as soon as it exists. The kernel learns the names of its ports
    /// from the device, a moment after it has found them.
    pub async fn open(name: &str) -> io::Result<Self> {
        // Listens first, so that no event is missed between looking and waiting.
        let events = KernelEvents::listen()?;
        loop {
            if let Some(path) = find(Path::new(NAMES), name)? {
                return Self::open_device(&path);
            }
            events.next().await?;
        }
    }

    fn open_device(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let device = rustix::fs::open(path, flags, Mode::empty())?;
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wanted = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&set, &device, epoll::EventData::new_u64(0), wanted)?;
        Ok(Port { device, changes: AsyncDescriptor::of_event(set)? })
    }

    /// Starts a task that moves bytes both ways until the receiver is dropped.
    pub fn start(self) -> (PortWriter, mpsc::Receiver<PortEvent>) {
        let (writer, outgoing) = PortWriter::channel(QUEUED_CHUNKS);
        let (incoming, receiver) = mpsc::channel(QUEUED_CHUNKS);
        tokio::spawn(async move {
            if let Err(error) = self.run(outgoing, incoming).await {
                tracing::warn!(%error, "a virtio-serial port failed");
            }
        });
        (writer, receiver)
    }

    async fn run(
        self,
        mut outgoing: mpsc::Receiver<Vec<u8>>,
        incoming: mpsc::Sender<PortEvent>,
    ) -> io::Result<()> {
        let mut unsent = Unsent::default();
        let mut received = VecDeque::new();
        let (mut connected, mut readable) = (false, false);
        loop {
            tokio::select! {
                hung_up = self.change() => {
                    let was_connected = std::mem::replace(&mut connected, !hung_up?);
                    if connected && !was_connected {
                        // What an earlier host did not take is no use to this one.
                        unsent.clear_partial();
                        received.push_back(PortEvent::Connected);
                    }
                    readable = true;
                }
                room = incoming.reserve(), if !received.is_empty() => match room {
                    Ok(room) => {
                        if let Some(event) = received.pop_front() {
                            room.send(event);
                        }
                    }
                    Err(_) => return Ok(()),
                },
                bytes = outgoing.recv(), if unsent.has_room() => match bytes {
                    Some(bytes) => unsent.push(bytes),
                    None => return Ok(()),
                },
                () = incoming.closed() => return Ok(()),
            }
            while readable && received.len() < QUEUED_CHUNKS {
                match self.read()? {
                    Some(bytes) => received.push_back(PortEvent::Bytes(bytes)),
                    None => readable = false,
                }
            }
            unsent.send(|bytes| match rustix::io::write(&self.device, bytes) {
                Ok(count) => Ok(count),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(0),
                Err(error) => Err(error.into()),
            })?;
        }
    }

    /// Waits for a change; true when no host is connected after it.
    async fn change(&self) -> io::Result<bool> {
        self.changes
            .read_with(|set| {
                let mut events = Vec::with_capacity(1);
                let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
                epoll::wait(set, rustix::buffer::spare_capacity(&mut events), Some(&now))?;
                match events.first() {
                    Some(event) => {
                        let flags = event.flags;
                        Ok(flags.contains(epoll::EventFlags::HUP))
                    }
                    None => Err(io::ErrorKind::WouldBlock.into()),
                }
            })
            .await
    }

    /// What is there; `None` when there is nothing, or no host.
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; CHUNK_BYTES];
        match rustix::io::read(&self.device, &mut bytes) {
            Ok(0) | Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(rustix::io::Errno::INTR) => self.read(),
            Err(error) => Err(error.into()),
            Ok(count) => {
                bytes.truncate(count);
                Ok(Some(bytes))
            }
        }
    }
}

/// Whole messages, the first of which may have been sent in part.
#[derive(Debug, Default)]
struct Unsent {
    messages: VecDeque<Vec<u8>>,
    sent_of_first: usize,
}

impl Unsent {
    fn has_room(&self) -> bool {
        self.messages.len() < QUEUED_CHUNKS
    }

    fn push(&mut self, message: Vec<u8>) {
        self.messages.push_back(message);
    }

    /// A new host must not begin with half a message.
    fn clear_partial(&mut self) {
        if std::mem::take(&mut self.sent_of_first) > 0 {
            self.messages.pop_front();
        }
    }

    /// Sends until `write` takes nothing.
    fn send(&mut self, mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        while let Some(first) = self.messages.front() {
            match write(&first[self.sent_of_first..])? {
                0 if self.sent_of_first < first.len() => return Ok(()),
                count => self.sent_of_first += count,
            }
            if self.sent_of_first == first.len() {
                self.messages.pop_front();
                self.sent_of_first = 0;
            }
        }
        Ok(())
    }
}

/// The device file of the port with this name.
fn find(names: &Path, wanted: &str) -> io::Result<Option<PathBuf>> {
    let entries = match fs::read_dir(names) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        // A port without a name has no such file yet, or never.
        let Ok(name) = fs::read_to_string(entry.path().join("name")) else { continue };
        if name.trim_end() == wanted {
            return Ok(Some(Path::new("/dev").join(entry.file_name())));
        }
    }
    Ok(None)
}

/// Tells that some device has come or changed.
#[derive(Debug)]
pub struct KernelEvents(AsyncDescriptor);

impl KernelEvents {
    /// Hears all events from now on.
    pub fn listen() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let kind = SocketType::DGRAM;
        let family = AddressFamily::NETLINK;
        let socket = rustix::net::socket_with(family, kind, flags, Some(KOBJECT_UEVENT))?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, KERNEL_EVENTS))?;
        Ok(KernelEvents(AsyncDescriptor::new(socket)?))
    }

    /// Waits for some event.
    pub async fn next(&self) -> io::Result<()> {
        let receive = |socket: std::os::fd::BorrowedFd<'_>| {
            match rustix::net::recv(socket, &mut [0_u8; 8192][..], RecvFlags::DONTWAIT) {
                // The queue ran over: something has certainly changed.
                Ok(_) | Err(rustix::io::Errno::NOBUFS) => Ok(()),
                Err(error) => Err(error.into()),
            }
        };
        self.0.read_with(receive).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_host_does_not_begin_with_half_a_message() {
        let mut unsent = Unsent::default();
        unsent.push(b"first".to_vec());
        unsent.push(b"second".to_vec());
        let mut room = 2;
        let mut taken: Vec<u8> = Vec::new();
        unsent
            .send(|bytes| {
                let count = bytes.len().min(std::mem::take(&mut room));
                taken.extend(&bytes[..count]);
                Ok(count)
            })
            .unwrap();
        assert_eq!(taken, b"fi");
        unsent.clear_partial();
        let mut taken: Vec<u8> = Vec::new();
        unsent
            .send(|bytes| {
                taken.extend(bytes);
                Ok(bytes.len())
            })
            .unwrap();
        assert_eq!(taken, b"second");
    }

    #[test]
    fn a_port_is_found_by_its_name() {
        let names = std::env::temp_dir().join(format!("virtio-ports-{}", std::process::id()));
        for (device, name) in [("vport0p1", Some("a")), ("vport0p2", Some("b")), ("vport0p3", None)]
        {
            fs::create_dir_all(names.join(device)).unwrap();
            if let Some(name) = name {
                fs::write(names.join(device).join("name"), format!("{name}\n")).unwrap();
            }
        }
        assert_eq!(find(&names, "b").unwrap(), Some(PathBuf::from("/dev/vport0p2")));
        assert_eq!(find(&names, "c").unwrap(), None);
        fs::remove_dir_all(&names).unwrap();
        assert_eq!(find(&names, "b").unwrap(), None);
    }
}
