//! The control channel: tells the host that the API listens, asks it to forward ports, and hears
//! its requests.
//!
//! One task owns the port and all that is under way; everybody else sends it orders.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use boot::{BootTimings, CONTROL_PORT, Forward, GuestMessage, HostMessage, Protocol};
use engine::Engine;
use engine::containers::{ListContainers, Status};
use engine_network::HostForwarder;
use guest_agent::{Port, PortEvent, PortWriter};
use guest_init::handover::{Handover, monotonic_micros};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::duties::{self, Duties, Request};
use crate::host_ports::HostPorts;

/// How long the host may take over a port.
const ANSWER: Duration = Duration::from_secs(5);
/// No line of the host is longer.
const LINE_BYTES: usize = 64 * 1024;
const ORDERS: usize = 64;
const OPEN: usize = 1024;

/// The daemon's side of the control channel.
#[derive(Debug)]
pub(crate) struct Control {
    orders: mpsc::Sender<Order>,
}

#[derive(Debug)]
enum Order {
    /// The API listens.
    Announce {
        timings: BootTimings,
        forwards: HostPorts,
    },
    Publish {
        forward: Forward,
        answer: oneshot::Sender<Result<u16, String>>,
    },
    Unpublish {
        forward: Forward,
        answer: oneshot::Sender<Result<(), String>>,
    },
}

impl Control {
    pub(crate) fn start(duties: Arc<dyn Duties>) -> Arc<Self> {
        let (orders, received) = mpsc::channel(ORDERS);
        tokio::spawn(async move {
            let port = match Port::open(CONTROL_PORT).await {
                Ok(port) => port,
                Err(error) => {
                    tracing::error!(%error, "there is no control channel");
                    return;
                }
            };
            let (writer, events) = port.start();
            if let Err(error) = Owner::new(writer, duties).run(received, events).await {
                tracing::error!(%error, "the control channel failed");
            }
        });
        Arc::new(Control { orders })
    }

    /// Tells the host that the API listens, and which ports of it are still needed.
    pub(crate) async fn announce(&self, handover: &Handover, started: u64, engine: Arc<Engine>) {
        let timings = BootTimings {
            init_start: handover.init_start,
            disk_mounted: handover.disk_mounted,
            daemon_start: started,
            api_listening: monotonic_micros(),
        };
        let forwards = HostPorts::load(|protocol, port| is_published(&engine, protocol, port));
        tracing::info!(
            init_ms = timings.init_start / 1000,
            disk_ms = timings.disk_mounted / 1000,
            daemon_ms = timings.daemon_start / 1000,
            api_ms = timings.api_listening / 1000,
            "ready"
        );
        if self.orders.send(Order::Announce { timings, forwards }).await.is_err() {
            tracing::warn!("the host does not hear that this machine is ready");
        }
    }

    async fn ask<T>(
        &self,
        order: Order,
        answer: oneshot::Receiver<Result<T, String>>,
    ) -> Result<T, String> {
        let asked = async {
            self.orders.send(order).await.ok()?;
            answer.await.ok()
        };
        match tokio::time::timeout(ANSWER, asked).await {
            Ok(Some(result)) => result,
            Ok(None) | Err(_) => Err("the host does not answer".to_owned()),
        }
    }
}

#[async_trait::async_trait]
impl HostForwarder for Control {
    async fn publish(
        &self,
        protocol: &str,
        host_ip: &str,
        host_port: u16,
        guest_port: u16,
    ) -> Result<u16, String> {
        let forward = forward(protocol, host_ip, host_port, guest_port)?;
        let (answer, answered) = oneshot::channel();
        self.ask(Order::Publish { forward, answer }, answered).await
    }

    async fn unpublish(
        &self,
        protocol: &str,
        host_ip: &str,
        host_port: u16,
        guest_port: u16,
    ) -> Result<(), String> {
        let forward = forward(protocol, host_ip, host_port, guest_port)?;
        let (answer, answered) = oneshot::channel();
        self.ask(Order::Unpublish { forward, answer }, answered).await
    }
}

fn forward(
    protocol: &str,
    host_ip: &str,
    host_port: u16,
    guest_port: u16,
) -> Result<Forward, String> {
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        other => return Err(format!("the host does not forward {other}")),
    };
    Ok(Forward { protocol, host_ip: host_ip.to_owned(), host_port, guest_port })
}

/// Whether a running container has this port of the host.
fn is_published(engine: &Engine, protocol: Protocol, host_port: u16) -> bool {
    let name = match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    let running = engine.containers.list(&ListContainers::default()).unwrap_or_default();
    running
        .iter()
        .filter(|container| !matches!(container.state.status, Status::Exited | Status::Dead))
        .flat_map(|container| &container.published)
        .any(|port| port.protocol == name && port.host_port == host_port)
}

/// What the host has not answered yet.
#[derive(Debug)]
enum Open {
    Publish { forward: Forward, answer: oneshot::Sender<Result<u16, String>> },
    Unpublish { forward: Forward, answer: oneshot::Sender<Result<(), String>> },
}

#[derive(Debug)]
struct Owner {
    writer: PortWriter,
    requests: mpsc::Sender<Request>,
    next_id: u64,
    open: HashMap<u64, Open>,
    connected: bool,
    /// Said to every host that connects.
    ready: Option<BootTimings>,
    forwards: HostPorts,
    unread: Vec<u8>,
}

impl Owner {
    fn new(writer: PortWriter, duties: Arc<dyn Duties>) -> Self {
        Owner {
            requests: duties::start(duties, writer.clone()),
            writer,
            next_id: 1,
            open: HashMap::new(),
            connected: false,
            ready: None,
            forwards: HostPorts::default(),
            unread: Vec::new(),
        }
    }

    async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        mut events: mpsc::Receiver<PortEvent>,
    ) -> std::io::Result<()> {
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(PortEvent::Connected) => {
                        self.connected = true;
                        self.unread.clear();
                        self.introduce().await?;
                    }
                    Some(PortEvent::Bytes(bytes)) => self.read(&bytes).await?,
                    None => return Ok(()),
                },
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await?,
                    None => return Ok(()),
                },
            }
        }
    }

    async fn obey(&mut self, order: Order) -> std::io::Result<()> {
        let id = self.next_id;
        self.next_id += 1;
        // Those whose askers have given up would only pile up with a host that never answers. A
        // publication is kept for long, to be taken back should the answer come after all.
        let crowded = self.open.len() >= OPEN;
        self.open.retain(|_, open| match open {
            Open::Publish { answer, .. } => !crowded || !answer.is_closed(),
            Open::Unpublish { answer, .. } => !answer.is_closed(),
        });
        match order {
            Order::Announce { timings, forwards } => {
                self.ready = Some(timings);
                self.forwards.merge(forwards);
                self.introduce().await
            }
            Order::Publish { forward, answer } => {
                let message = GuestMessage::Publish { id, forward: forward.clone() };
                self.open.insert(id, Open::Publish { forward, answer });
                self.say(&message).await
            }
            Order::Unpublish { forward, answer } => {
                let message = GuestMessage::Unpublish { id, forward: forward.clone() };
                self.open.insert(id, Open::Unpublish { forward, answer });
                self.say(&message).await
            }
        }
    }

    /// What every host must know, once it is there and the API listens.
    async fn introduce(&mut self) -> std::io::Result<()> {
        let (true, Some(timings)) = (self.connected, self.ready) else { return Ok(()) };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.say(&GuestMessage::Ready { version, timings }).await?;
        let forwards = self.forwards.all();
        self.say(&GuestMessage::Forwards { forwards }).await
    }

    async fn say(&self, message: &GuestMessage) -> std::io::Result<()> {
        duties::say(&self.writer, message).await
    }

    async fn read(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.unread.extend(bytes);
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice(&line) {
                Ok(message) => self.hear(message).await?,
                Err(error) => tracing::warn!(%error, "the host said something unknown"),
            }
        }
        if self.unread.len() > LINE_BYTES {
            tracing::warn!("the host said something endless");
            self.unread.clear();
        }
        Ok(())
    }

    async fn request(&self, request: Request) -> std::io::Result<()> {
        match self.requests.try_send(request) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(request) | TrySendError::Closed(request)) => {
                self.say(&request.refused()).await
            }
        }
    }

    async fn hear(&mut self, message: HostMessage) -> std::io::Result<()> {
        match message {
            HostMessage::Hello => {
                // It speaks, so it is there, whether or not it was seen to come.
                self.connected = true;
                self.introduce().await
            }
            HostMessage::LoadIdentity { id, tls } => {
                self.request(Request::LoadIdentity { id, tls }).await
            }
            HostMessage::GrowDisk { id } => self.request(Request::GrowDisk { id }).await,
            HostMessage::Published { id, result } => {
                let Some(Open::Publish { forward, answer }) = self.open.remove(&id) else {
                    return Ok(());
                };
                let Ok(port) = result else {
                    // Whoever asked may have given up.
                    let _unheard = answer.send(result);
                    return Ok(());
                };
                let forward = resolved(forward, port);
                if answer.send(result).is_ok() {
                    self.forwards.insert(forward);
                    return Ok(());
                }
                // Nobody waits any more, so nobody would ever take it back.
                let id = self.next_id;
                self.next_id += 1;
                self.say(&GuestMessage::Unpublish { id, forward }).await
            }
            HostMessage::Unpublished { id, result } => {
                if let Some(Open::Unpublish { forward, answer }) = self.open.remove(&id) {
                    if result.is_ok() {
                        let port = forward.host_port;
                        self.forwards.remove(&resolved(forward, port));
                    }
                    let _unheard = answer.send(result);
                }
                Ok(())
            }
        }
    }
}

/// A forward as it came to be.
fn resolved(forward: Forward, host_port: u16) -> Forward {
    let guest_port = if forward.guest_port == 0 { host_port } else { forward.guest_port };
    Forward { host_port, guest_port, ..forward }
}

#[cfg(test)]
mod tests;
