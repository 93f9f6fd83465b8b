//! A server in memory and two clients: one that speaks HTTP, one that writes bytes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::ports::fakes::{FakeNetwork, FakeRegistry, FakeRuntime, FakeSyslog};
use engine::settings::Settings;
use engine::time::SystemClock;
use engine::{Engine, EngineConfig, HostFacts};
use engine_http::{Rights, Server, ServerFacts, serve_connection};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

pub(crate) struct Rig {
    server: Arc<Server>,
    rights: Rights,
    pub(crate) runtime: Arc<FakeRuntime>,
    pub(crate) remote: Arc<FakeRegistry>,
    _directory: tempfile::TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with_settings(Settings::default()).await
    }

    pub(crate) async fn with_settings(settings: Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = FakeRuntime::new();
        let remote = FakeRegistry::new();
        let engine = Engine::open(EngineConfig {
            data_root: directory.path().join("data"),
            run_root: directory.path().join("run"),
            runtime: Arc::clone(&runtime) as Arc<_>,
            network: FakeNetwork::new(),
            syslog: FakeSyslog::new(),
            remote: Arc::clone(&remote) as Arc<_>,
            host: HostFacts {
                name: "dev".to_owned(),
                kernel_version: "6.12".to_owned(),
                architecture: "x86_64".to_owned(),
                cpus: 2,
                memory: 1 << 30,
                ..HostFacts::default()
            },
            settings,
            clock: Arc::new(SystemClock),
        })
        .await
        .unwrap();
        let facts = ServerFacts { version: "28.5.2".to_owned(), ..ServerFacts::default() };
        let server = Server::new(engine, facts);
        Self { server, rights: Rights::Full, runtime, remote, _directory: directory }
    }

    /// With an image `busybox:latest`.
    pub(crate) async fn with_busybox() -> Self {
        let rig = Self::new().await;
        let path = "/images/create?fromSrc=-&repo=busybox&tag=latest&changes=CMD+sh";
        let answer = rig.send("POST", path, Bytes::from(root_filesystem())).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        rig
    }

    /// Whoever connects from now on may only look.
    pub(crate) fn only_look(&mut self) {
        self.rights = Rights::LookOnly;
    }

    pub(crate) fn connect(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(1 << 20);
        tokio::spawn(serve_connection(server, Arc::clone(&self.server), self.rights));
        client
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, Bytes::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        self.send("POST", path, body).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Bytes) -> Answer {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(self.connect())).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Host", "docker")
            .body(Full::new(body))
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    /// Creates a container and returns its id.
    pub(crate) async fn create(&self, name: &str, config: Value) -> String {
        let answer = self.post(&format!("/containers/create?name={name}"), config).await;
        assert_eq!(answer.status, 201, "{}", answer.message());
        answer.json()["Id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn start(&self, name: &str) {
        let answer = self.post(&format!("/containers/{name}/start"), Value::Null).await;
        assert_eq!(answer.status, 204, "{}", String::from_utf8_lossy(&answer.body));
    }

    /// Sends a request by hand and reads the head of the answer.
    pub(crate) async fn raw(&self, head: &str, body: &str) -> (DuplexStream, String) {
        let mut stream = self.connect();
        let length = body.len();
        let request = format!("{head}\r\nHost: docker\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        (stream, head)
    }

    /// The same, asking for an upgrade as docker does.
    pub(crate) async fn upgrade(&self, request: &str, body: &str) -> (DuplexStream, String) {
        let head = format!("{request}\r\nConnection: Upgrade\r\nUpgrade: tcp");
        self.raw(&head, body).await
    }
}

pub(crate) async fn read_head(stream: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

pub(crate) async fn read_rest(mut stream: DuplexStream) -> Vec<u8> {
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    rest
}

/// Nothing in memory takes long; a test that waits in vain should say so.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.unwrap()
}

fn root_filesystem() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in [("bin/sh", "#!"), ("etc/passwd", "root:x:0:0::/root:/bin/sh\n")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        archive.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}
