//! Plays QEMU and a guest that is up in no time: as much of both as a supervisor sees. It answers on
//! the sockets it inherits (a script has put them in the place of the standard streams: QMP, the
//! control line and the agent) and, like a guest, on the API's port.
//!
//! In its working directory the tests leave `guest.says` (lines sent after `Ready`),
//! `guest.is-deaf` (no agent), `qemu.sends-forever` and `qemu.refuses-memory`; it writes down in
//! `guest.heard` what it is told.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]
#![expect(clippy::print_stdout, reason = "it is what QEMU does")]

use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "-version") {
        return println!("QEMU emulator version 10.0.2");
    }
    if arguments.iter().any(|argument| argument == "-L") {
        return;
    }
    let incoming = arguments.iter().any(|argument| argument == "-incoming");
    let mut machine = Machine {
        status: if incoming { "inmigrate" } else { "prelaunch" },
        migrated: None,
        running: Arc::new(Notify::new()),
    };
    tokio::spawn(control(listener(std::io::stdout()), machine.running.clone()));
    tokio::spawn(agent(listener(std::io::stderr())));
    tokio::spawn(api(api_port(&arguments)));
    let qmp = listener(std::io::stdin());
    // One monitor at a time, as QEMU does it.
    while let Ok((stream, _)) = qmp.accept().await {
        machine.monitor(stream).await;
    }
}

/// What QMP can change.
struct Machine {
    status: &'static str,
    migrated: Option<&'static str>,
    running: Arc<Notify>,
}

/// A listening socket that was put in the place of a standard stream.
fn listener(stream: impl AsFd) -> UnixListener {
    let descriptor = stream.as_fd().try_clone_to_owned().unwrap();
    let listener = std::os::unix::net::UnixListener::from(descriptor);
    listener.set_nonblocking(true).unwrap();
    UnixListener::from_std(listener).unwrap()
}

fn api_port(arguments: &[String]) -> u16 {
    let netdev = arguments.iter().find(|argument| argument.starts_with("user,")).unwrap();
    let forward = netdev.split(',').find(|part| part.ends_with("-:2376")).unwrap();
    forward.trim_end_matches("-:2376").rsplit(':').next().unwrap().parse().unwrap()
}

impl Machine {
    async fn monitor(&mut self, stream: UnixStream) {
        let (read, mut write) = stream.into_split();
        let greeting = json!({"QMP": {"version": {}, "capabilities": ["oob"]}});
        say(&mut write, &greeting).await;
        let mut lines = BufReader::new(read).lines();
        let mut migration = None;
        loop {
            let line = tokio::select! {
                line = lines.next_line() => line,
                completed = finished(&mut migration) => {
                    migration = None;
                    self.migrate_to(&mut write, completed).await;
                    continue;
                }
            };
            let Ok(Some(line)) = line else { return };
            let command: Value = serde_json::from_str(&line).unwrap();
            let uri = command["arguments"]["uri"].as_str().unwrap_or_default();
            let path = uri.trim_start_matches("unix:").to_owned();
            let mut event = None;
            let answer = match command["execute"].as_str().unwrap() {
                "cont" => {
                    heard("cont");
                    self.status = "running";
                    self.running.notify_one();
                    event = Some("RESUME");
                    json!({})
                }
                "stop" => {
                    heard("stop");
                    if self.status == "running" {
                        self.status = "paused";
                        event = Some("STOP");
                    }
                    json!({})
                }
                "query-status" => json!({"status": self.status, "running": true}),
                "migrate" => {
                    migration = Some(tokio::spawn(send_memory(path)));
                    self.migrated = Some("active");
                    json!({})
                }
                "migrate-incoming" => {
                    std::fs::remove_file(&path).ok();
                    let listener = UnixListener::bind(path).unwrap();
                    migration = Some(tokio::spawn(load_memory(listener)));
                    json!({})
                }
                "migrate_cancel" => {
                    migration.take().inspect(|migration| migration.abort());
                    self.migrate_to(&mut write, "cancelled").await;
                    json!({})
                }
                "query-migrate" => match self.migrated {
                    Some(status) => json!({"status": status, "error-desc": "the stream broke"}),
                    None => json!({}),
                },
                "human-monitor-command" => {
                    human(command["arguments"]["command-line"].as_str().unwrap())
                }
                "block_resize" => {
                    heard(&format!("block_resize {}", command["arguments"]["size"]));
                    json!({})
                }
                "quit" => std::process::exit(0),
                "system_powerdown" => {
                    heard("power button");
                    std::process::exit(0)
                }
                _ => json!({}),
            };
            say(&mut write, &json!({"return": answer, "id": command["id"]})).await;
            if let Some(event) = event {
                say(&mut write, &json!({"event": event})).await;
            }
        }
    }

    async fn migrate_to(&mut self, write: &mut OwnedWriteHalf, state: &'static str) {
        self.status = match (state, self.status) {
            ("completed", "inmigrate") => "paused",
            ("completed", _) => "postmigrate",
            (_, status) => status,
        };
        self.migrated = Some(state);
        say(write, &json!({"event": "MIGRATION", "data": {"status": state}})).await;
    }
}

/// The state in which a migration has ended; never without one.
async fn finished(migration: &mut Option<JoinHandle<&'static str>>) -> &'static str {
    match migration {
        Some(migration) => migration.await.unwrap(),
        None => std::future::pending().await,
    }
}

const MEMORY: &[u8] = b"the memory of a guest";

async fn send_memory(path: String) -> &'static str {
    // As with QEMU itself, the one who asked may not listen any more.
    let Ok(mut stream) = UnixStream::connect(path).await else { return "failed" };
    let forever = Path::new("qemu.sends-forever").exists();
    loop {
        if stream.write_all(MEMORY).await.is_err() {
            return "failed";
        }
        if !forever {
            return "completed";
        }
    }
}

async fn load_memory(listener: UnixListener) -> &'static str {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut memory = Vec::new();
    stream.read_to_end(&mut memory).await.unwrap();
    if memory != MEMORY || Path::new("qemu.refuses-memory").exists() {
        eprintln_to_log("qemu-system-x86_64: error: load of migration failed");
        std::process::exit(1);
    }
    heard("memory loaded");
    "completed"
}

/// Where the standard error stream would go, were it not the agent's socket.
fn eprintln_to_log(text: &str) {
    let mut log = std::fs::File::options().append(true).open("qemu.log").unwrap();
    writeln!(log, "{text}").unwrap();
}

fn human(command: &str) -> Value {
    heard(command);
    match command.split_once(' ') {
        Some(("hostfwd_remove", rule)) => {
            json!(format!("host forwarding rule for {rule} removed\r\n"))
        }
        Some(("info", _)) => json!("TCP[HOST_FORWARD] 13 127.0.0.1 8081 10.0.2.15 80 0 0\r\n"),
        _ => json!(""),
    }
}

async fn control(listener: UnixListener, running: Arc<Notify>) {
    let mut is_ready = false;
    while let Ok((stream, _)) = listener.accept().await {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        loop {
            let line = tokio::select! {
                () = running.notified(), if !is_ready => {
                    is_ready = true;
                    introduce(&mut write).await;
                    continue;
                }
                line = lines.next_line() => line,
            };
            let Ok(Some(line)) = line else { break };
            if line.is_empty() {
                continue;
            }
            heard(&line);
            let question: Value = serde_json::from_str(&line).unwrap();
            let mut answer = match question["type"].as_str().unwrap() {
                "load-identity" if question["tls"]["private_key"] == "wrong" => {
                    json!({"type": "identity-loaded", "result": {"Err": "wrong key"}})
                }
                "load-identity" => json!({"type": "identity-loaded", "result": {"Ok": null}}),
                "grow-disk" => json!({"type": "disk-grown", "result": {"Ok": 1}}),
                _ => continue,
            };
            answer["id"] = question["id"].clone();
            say(&mut write, &answer).await;
        }
    }
}

async fn introduce(write: &mut OwnedWriteHalf) {
    let timings =
        json!({"init_start": 1, "disk_mounted": 2, "daemon_start": 3, "api_listening": 4});
    say(write, &json!({"type": "ready", "version": "1", "timings": timings})).await;
    let says = std::fs::read_to_string("guest.says").unwrap_or_default();
    write.write_all(says.as_bytes()).await.unwrap();
}

async fn agent(listener: UnixListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let (read, mut write) = stream.into_split();
        let mut read = BufReader::new(read);
        let mut line = Vec::new();
        while read.read_until(b'\n', &mut line).await.unwrap_or(0) > 0 {
            let start = line.iter().position(|byte| *byte == b'{').unwrap();
            let command: Value = serde_json::from_slice(&line[start..]).unwrap();
            line.clear();
            if Path::new("guest.is-deaf").exists() {
                continue;
            }
            let answer = match command["execute"].as_str().unwrap() {
                "guest-sync-delimited" => {
                    write.write_all(&[0xff]).await.ok();
                    command["arguments"]["id"].clone()
                }
                "guest-shutdown" => {
                    heard(&format!("shutdown {}", command["arguments"]["mode"]));
                    std::process::exit(0)
                }
                // Very late.
                "guest-get-time" => json!(1),
                other => {
                    heard(other);
                    json!({})
                }
            };
            say(&mut write, &json!({"return": answer})).await;
        }
    }
}

/// Lets in only clients whom the CA knows.
async fn api(port: u16) {
    let read = |name: &str| CertificateDer::from_pem_file(name).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(read("ca.pem")).unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        provider.clone(),
    );
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![read("server.pem")],
            PrivateKeyDer::from_pem_file("server-key.pem").unwrap(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let (read, mut write) = tokio::io::split(stream);
            let mut read = BufReader::new(read);
            let mut request = String::new();
            read.read_line(&mut request).await.unwrap();
            heard(request.trim_end());
            if request.starts_with("ECHO") {
                // All of the rest comes back, once the client has said that there is no more.
                let mut body = Vec::new();
                read.read_to_end(&mut body).await.ok();
                write.write_all(&body).await.ok();
            } else {
                write.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK").await.ok();
            }
            write.shutdown().await.ok();
        });
    }
}

async fn say(write: &mut OwnedWriteHalf, message: &Value) {
    write.write_all(format!("{message}\n").as_bytes()).await.ok();
}

fn heard(line: &str) {
    let mut file = std::fs::File::options().create(true).append(true).open("guest.heard").unwrap();
    writeln!(file, "{line}").unwrap();
}
