//! An engine over fake ports on a TCP port, to be tried with a real docker command.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for trying things")]

use std::sync::Arc;

use engine::ports::fakes::{FakeNetwork, FakeRuntime};
use engine::time::SystemClock;
use engine::{Engine, EngineConfig, HostFacts};
use engine_http::{Server, ServerFacts, serve_connection};

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(EngineConfig {
        data_root: directory.path().join("data"),
        run_root: directory.path().join("run"),
        runtime: FakeRuntime::new(),
        network: FakeNetwork::new(),
        host: HostFacts { name: "dev".into(), architecture: "x86_64".into(), cpus: 2, memory: 1 << 30, kernel_version: "6.12".into(), operating_system: "machine".into(), ..HostFacts::default() },
        clock: Arc::new(SystemClock),
    })
    .await
    .unwrap();
    let facts = ServerFacts { version: "28.5.2".into(), toolchain: "rust".into(), ..ServerFacts::default() };
    let server = Server::new(engine, facts);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:23750").await.unwrap();
    println!("listening");
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(serve_connection(stream, Arc::clone(&server)));
    }
}
