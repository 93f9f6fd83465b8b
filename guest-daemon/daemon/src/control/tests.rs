//! The conversation with the host, over channels in place of a port.

use boot::TlsIdentity;

use super::*;

/// Takes every identity but one, and grows to 7 bytes.
struct Pretending;

#[async_trait::async_trait]
impl Duties for Pretending {
    async fn load_identity(&self, identity: TlsIdentity) -> Result<(), String> {
        if identity.certificate == "bad" { Err("it is bad".to_owned()) } else { Ok(()) }
    }

    async fn grow_disk(&self) -> Result<u64, String> {
        Ok(7)
    }
}

/// A control channel and the host's side of it.
struct Host {
    control: Control,
    heard: mpsc::Receiver<Vec<u8>>,
    says: mpsc::Sender<PortEvent>,
}

impl Host {
    fn start() -> Self {
        let (orders, received) = mpsc::channel(ORDERS);
        let (writer, heard) = PortWriter::channel(64);
        let (says, events) = mpsc::channel(64);
        tokio::spawn(Owner::new(writer, Arc::new(Pretending)).run(received, events));
        Host { control: Control { orders }, heard, says }
    }

    async fn hears(&mut self) -> GuestMessage {
        let line = self.heard.recv().await.unwrap();
        assert_eq!(line.last(), Some(&b'\n'));
        serde_json::from_slice(&line).unwrap()
    }

    async fn says(&self, message: &HostMessage) {
        let mut line = serde_json::to_vec(message).unwrap();
        line.push(b'\n');
        // In two pieces, as a port may deliver it.
        let rest = line.split_off(3);
        for piece in [line, rest] {
            self.says.send(PortEvent::Bytes(piece)).await.unwrap();
        }
    }

    async fn connects(&self) {
        self.says.send(PortEvent::Connected).await.unwrap();
    }

    async fn announce(&self) {
        let timings = BootTimings { api_listening: 7, ..BootTimings::default() };
        let forwards = HostPorts::default();
        self.control.orders.send(Order::Announce { timings, forwards }).await.unwrap();
    }
}

#[tokio::test]
async fn a_port_is_published_when_the_host_says_so() {
    let mut host = Host::start();
    let publish = host.control.publish("tcp", "127.0.0.1", 0, 0);
    let answers = async {
        let GuestMessage::Publish { id, forward } = hear(&mut host.heard).await else {
            panic!("not asked to publish");
        };
        assert_eq!(forward.host_ip, "127.0.0.1");
        let line = format!(r#"{{"type":"published","id":{id},"result":{{"Ok":8080}}}}"#);
        host.says.send(PortEvent::Bytes(format!("{line}\n").into_bytes())).await.unwrap();
    };
    let (published, ()) = tokio::join!(publish, answers);
    assert_eq!(published, Ok(8080));
    // The next host is told of it.
    host.connects().await;
    host.announce().await;
    host.hears().await;
    let GuestMessage::Forwards { forwards } = host.hears().await else {
        panic!("not told what is published");
    };
    assert_eq!(forwards[0].host_port, 8080);
    assert_eq!(forwards[0].guest_port, 8080);
}

#[tokio::test]
async fn the_host_s_refusal_comes_back_as_it_is() {
    let mut host = Host::start();
    let publish = host.control.publish("tcp", "", 80, 80);
    let answers = async {
        let GuestMessage::Publish { id, .. } = hear(&mut host.heard).await else {
            panic!("not asked to publish");
        };
        let why = "port is already allocated".to_owned();
        let line = serde_json::to_vec(&HostMessage::Published { id, result: Err(why) }).unwrap();
        host.says.send(PortEvent::Bytes([line, b"\n".to_vec()].concat())).await.unwrap();
    };
    let (published, ()) = tokio::join!(publish, answers);
    assert_eq!(published, Err("port is already allocated".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_silent_host_fails_the_request_and_a_late_answer_is_taken_back() {
    let mut host = Host::start();
    let published = host.control.publish("tcp", "", 80, 80).await;
    assert_eq!(published, Err("the host does not answer".to_owned()));
    let GuestMessage::Publish { id, .. } = host.hears().await else {
        panic!("not asked to publish");
    };
    host.says(&HostMessage::Published { id, result: Ok(80) }).await;
    let GuestMessage::Unpublish { forward, .. } = host.hears().await else {
        panic!("the forward stays");
    };
    assert_eq!(forward.host_port, 80);
}

#[tokio::test]
async fn every_host_that_connects_hears_that_the_api_listens_but_not_before_it_does() {
    let mut host = Host::start();
    host.connects().await;
    host.announce().await;
    for connections in 1..=2 {
        let GuestMessage::Ready { timings, .. } = host.hears().await else {
            panic!("host {connections} does not hear that the guest is ready");
        };
        assert_eq!(timings.api_listening, 7);
        assert_eq!(host.hears().await, GuestMessage::Forwards { forwards: Vec::new() });
        host.connects().await;
    }
}

#[tokio::test]
async fn a_host_that_says_hello_hears_everything_though_nobody_saw_it_come() {
    let mut host = Host::start();
    host.announce().await;
    // What the host before it was saying when it went.
    host.says.send(PortEvent::Bytes(b"{\"type\":\"publ\n".to_vec())).await.unwrap();
    for _ in 0..2 {
        host.says(&HostMessage::Hello).await;
        assert!(matches!(host.hears().await, GuestMessage::Ready { .. }));
        assert_eq!(host.hears().await, GuestMessage::Forwards { forwards: Vec::new() });
    }
}

#[tokio::test]
async fn the_host_s_requests_are_answered_in_their_order() {
    let mut host = Host::start();
    let tls = |certificate: &str| TlsIdentity {
        ca_certificate: String::new(),
        certificate: certificate.to_owned(),
        private_key: String::new(),
    };
    host.says(&HostMessage::LoadIdentity { id: 5, tls: tls("good") }).await;
    host.says(&HostMessage::LoadIdentity { id: 6, tls: tls("bad") }).await;
    host.says(&HostMessage::GrowDisk { id: 7 }).await;
    assert_eq!(host.hears().await, GuestMessage::IdentityLoaded { id: 5, result: Ok(()) });
    let result = Err("it is bad".to_owned());
    assert_eq!(host.hears().await, GuestMessage::IdentityLoaded { id: 6, result });
    assert_eq!(host.hears().await, GuestMessage::DiskGrown { id: 7, result: Ok(7) });
}

#[tokio::test]
async fn nonsense_from_the_host_costs_its_line_only() {
    let mut host = Host::start();
    host.says.send(PortEvent::Bytes(b"nonsense\n{\"type\":\"new\"}\n".to_vec())).await.unwrap();
    host.says.send(PortEvent::Bytes(vec![b'x'; 2 * LINE_BYTES])).await.unwrap();
    host.connects().await;
    host.announce().await;
    assert!(matches!(host.hears().await, GuestMessage::Ready { .. }));
}

async fn hear(heard: &mut mpsc::Receiver<Vec<u8>>) -> GuestMessage {
    serde_json::from_slice(&heard.recv().await.unwrap()).unwrap()
}
