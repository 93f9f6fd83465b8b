//! An engine over fakes, for this crate's tests.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;

use crate::config::{ContainerConfig, HostConfig};
use crate::containers::{AttachOptions, CreateContainer, LogOptions, WaitCondition};
use crate::events::EventsRequest;
use crate::images::{ByteStream, ImportImage};
use crate::ports::fakes::{FakeNetwork, FakeRegistry, FakeRuntime, FakeSyslog};
use crate::settings::Settings;
use crate::streams::{Attachment, Stream};
use crate::time::SystemClock;
use crate::{Engine, EngineConfig, HostFacts, Result};

/// A machine: its disk and processes outlive the engine.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) runtime: Arc<FakeRuntime>,
    pub(crate) network: Arc<FakeNetwork>,
    pub(crate) syslog: Arc<FakeSyslog>,
    pub(crate) remote: Arc<FakeRegistry>,
    pub(crate) engine: Arc<Engine>,
}

impl World {
    /// With an image `busybox:latest` whose command is `sh`.
    pub(crate) async fn new() -> Self {
        Self::with_settings(Settings::default()).await
    }

    pub(crate) async fn with_settings(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (runtime, network) = (FakeRuntime::new(), FakeNetwork::new());
        let (syslog, remote) = (FakeSyslog::new(), FakeRegistry::new());
        let engine = open(folder.path(), &runtime, &network, &syslog, &remote, settings).await;
        let world = Self { folder, runtime, network, syslog, remote, engine };
        world.import("busybox", &["CMD [\"sh\"]"]).await;
        world
    }

    /// The daemon is killed and a new one comes.
    pub(crate) async fn restart_daemon(&mut self) {
        self.engine.abandon().await;
        let other = tempfile::tempdir().unwrap();
        // The old engine holds the database until it is dropped.
        let (runtime, network) = (FakeRuntime::new(), FakeNetwork::new());
        let (syslog, remote) = (Arc::clone(&self.syslog), Arc::clone(&self.remote));
        let settings = Settings::default();
        self.engine = open(other.path(), &runtime, &network, &syslog, &remote, settings).await;
        let (runtime, network) = (Arc::clone(&self.runtime), Arc::clone(&self.network));
        let (folder, settings) = (self.folder.path(), Settings::default());
        self.engine = open(folder, &runtime, &network, &syslog, &remote, settings).await;
    }

    pub(crate) fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("root")
    }

    pub(crate) async fn import(&self, name: &str, changes: &[&str]) -> String {
        let request = ImportImage {
            reference: name.to_owned(),
            changes: changes.iter().map(|line| (*line).to_owned()).collect(),
            ..ImportImage::default()
        };
        self.engine.images.import(byte_stream(layer(name)), request).await.unwrap()
    }

    pub(crate) async fn create(&self, name: &str, command: &[&str]) -> String {
        self.create_with(name, command, |_| {}).await.unwrap()
    }

    pub(crate) async fn create_with(
        &self,
        name: &str,
        command: &[&str],
        change: impl FnOnce(&mut CreateContainer),
    ) -> Result<String> {
        let mut request = request(name, command);
        change(&mut request);
        Ok(self.engine.containers.create(request).await?.id)
    }

    pub(crate) async fn start(&self, name: &str) {
        self.engine.containers.start(name, "").await.unwrap();
    }

    pub(crate) async fn wait(&self, name: &str, condition: WaitCondition) -> i32 {
        within(self.engine.containers.wait(name, condition).unwrap()).await.unwrap().code
    }

    pub(crate) async fn attach(&self, name: &str) -> Attachment {
        let options = AttachOptions {
            stdin: true,
            stdout: true,
            stderr: true,
            stream: true,
            ..Default::default()
        };
        self.engine.containers.attach(name, options).await.unwrap()
    }

    pub(crate) async fn logs(&self, name: &str) -> String {
        let options = LogOptions { stdout: true, stderr: true, ..LogOptions::default() };
        let (_, stream) = self.engine.containers.logs(name, options).await.unwrap();
        text(stream).await
    }

    /// `kind action` of everything that happened.
    pub(crate) async fn events(&self) -> Vec<String> {
        let until = crate::time::Clock::now(&SystemClock);
        let request = EventsRequest { since: Some(0), until: Some(until), ..Default::default() };
        let events = self.engine.events.subscribe(request);
        within(events.map(|event| format!("{} {}", event.kind, event.action)).collect()).await
    }
}

pub(crate) fn request(name: &str, command: &[&str]) -> CreateContainer {
    CreateContainer {
        name: Some(name.to_owned()).filter(|name| !name.is_empty()),
        config: ContainerConfig {
            image: "busybox".to_owned(),
            cmd: Some(command.iter().map(|word| (*word).to_owned()).collect())
                .filter(|words: &Vec<String>| !words.is_empty()),
            ..ContainerConfig::default()
        },
        host: HostConfig::default(),
        ..CreateContainer::default()
    }
}

async fn open(
    folder: &Path,
    runtime: &Arc<FakeRuntime>,
    network: &Arc<FakeNetwork>,
    syslog: &Arc<FakeSyslog>,
    remote: &Arc<FakeRegistry>,
    settings: Settings,
) -> Arc<Engine> {
    let config = EngineConfig {
        data_root: folder.join("root"),
        run_root: folder.join("run"),
        runtime: Arc::clone(runtime) as _,
        network: Arc::clone(network) as _,
        syslog: Arc::clone(syslog) as _,
        remote: Arc::clone(remote) as _,
        host: HostFacts {
            name: "dev".into(),
            architecture: "x86_64".into(),
            cpus: 2,
            memory: 1 << 30,
            ..HostFacts::default()
        },
        settings,
        clock: Arc::new(SystemClock),
    };
    Engine::open(config).await.unwrap()
}

/// No test waits for ever.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.unwrap()
}

/// Everything a stream of output says.
pub(crate) async fn text(
    stream: impl futures::Stream<Item = Result<crate::streams::Output>>,
) -> String {
    let parts: Vec<_> = within(stream.collect::<Vec<_>>()).await;
    let mut text = String::new();
    for part in parts {
        let part = part.unwrap();
        if part.stream == Stream::Stderr {
            text += "!";
        }
        text += std::str::from_utf8(&part.data).unwrap();
    }
    text
}

pub(crate) fn byte_stream(data: Vec<u8>) -> ByteStream {
    let chunks: Vec<_> = data.chunks(1000).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    futures::stream::iter(chunks).boxed()
}

/// A root file system with `/data/file` and a file named after the image.
pub(crate) fn layer(name: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for path in ["data/file", name] {
        let mut header = tar::Header::new_gnu();
        header.set_size(5);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        builder.append_data(&mut header, path, b"hello".as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}
