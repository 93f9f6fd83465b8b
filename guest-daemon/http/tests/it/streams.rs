//! Connections that stop being HTTP.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Rig, read_rest, soon};

const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";
const RAW: &str = "application/vnd.docker.raw-stream";

#[tokio::test]
async fn attach_before_start_receives_every_byte() {
    let rig = Rig::with_busybox().await;
    rig.create("web", json!({ "Image": "busybox", "Cmd": ["sh", "-c", "echo hi; echo no >&2"] }))
        .await;
    let (stream, head) = rig
        .upgrade("POST /v1.51/containers/web/attach?stream=1&stdout=1&stderr=1 HTTP/1.1", "")
        .await;
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("upgrade: tcp"), "{head}");
    assert!(head.contains("connection: upgrade"), "{head}");
    assert!(head.contains(&format!("content-type: {MULTIPLEXED}")), "{head}");
    rig.start("web").await;
    let seen = read_rest(stream).await;
    let (hi, no) = (b"\x01\0\0\0\0\0\0\x03hi\n", b"\x02\0\0\0\0\0\0\x03no\n");
    assert!(seen == [&hi[..], no].concat() || seen == [&no[..], hi].concat(), "{seen:?}");
}

#[tokio::test]
async fn the_end_of_input_is_not_the_end_of_output() {
    let rig = Rig::with_busybox().await;
    let config = json!({
        "Image": "busybox", "Cmd": ["cat"], "OpenStdin": true, "StdinOnce": true,
        "AttachStdin": true, "AttachStdout": true,
    });
    rig.create("cat", config).await;
    let (mut stream, _) =
        rig.upgrade("POST /containers/cat/attach?stream=1&stdin=1&stdout=1 HTTP/1.1", "").await;
    rig.start("cat").await;
    stream.write_all(b"hi\n").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(read_rest(stream).await, b"\x01\0\0\0\0\0\0\x03hi\n");
    let wait = soon(rig.post("/containers/cat/wait", Value::Null)).await;
    assert_eq!(wait.json()["StatusCode"], 0);
}

#[tokio::test]
async fn a_terminal_is_raw_and_can_be_resized() {
    let rig = Rig::with_busybox().await;
    let config = json!({ "Image": "busybox", "Cmd": ["cat"], "Tty": true, "OpenStdin": true });
    let id = rig.create("tty", config).await;
    let (mut stream, head) =
        rig.upgrade("POST /containers/tty/attach?stream=1&stdin=1&stdout=1 HTTP/1.1", "").await;
    assert!(head.contains(&format!("content-type: {RAW}")), "{head}");
    rig.start("tty").await;
    stream.write_all(b"hi").await.unwrap();
    let mut seen = [0; 2];
    soon(stream.read_exact(&mut seen)).await.unwrap();
    assert_eq!(&seen, b"hi");
    assert_eq!(rig.post("/containers/tty/resize?h=24&w=80", Value::Null).await.status, 200);
    let size = rig.runtime.terminal_size(&id).unwrap();
    assert_eq!((size.rows, size.columns), (24, 80));
    assert_eq!(rig.post("/containers/tty/resize?h=tall&w=80", Value::Null).await.status, 400);
}

#[tokio::test]
async fn detach_keys_end_the_stream_and_not_the_container() {
    let rig = Rig::with_busybox().await;
    let config = json!({ "Image": "busybox", "Cmd": ["cat"], "Tty": true, "OpenStdin": true });
    rig.create("tty", config).await;
    let (mut stream, _) =
        rig.upgrade("POST /containers/tty/attach?stream=1&stdin=1&stdout=1 HTTP/1.1", "").await;
    rig.start("tty").await;
    stream.write_all(b"\x10").await.unwrap();
    stream.write_all(b"\x11").await.unwrap();
    read_rest(stream).await;
    assert_eq!(rig.get("/containers/tty/json").await.json()["State"]["Running"], true);
}

#[tokio::test]
async fn old_clients_get_the_old_media_type() {
    let rig = Rig::with_busybox().await;
    rig.create("web", json!({ "Image": "busybox", "Cmd": ["sleep", "9"] })).await;
    let (_, head) =
        rig.upgrade("POST /v1.41/containers/web/attach?stream=1&stdout=1 HTTP/1.1", "").await;
    assert!(head.contains(&format!("content-type: {RAW}")), "{head}");
}

#[tokio::test]
async fn without_an_upgrade_the_stream_ends_with_the_connection() {
    let rig = Rig::with_busybox().await;
    rig.create("web", json!({ "Image": "busybox", "Cmd": ["echo", "hi"] })).await;
    let (stream, head) =
        rig.raw("POST /containers/web/attach?stream=1&stdout=1 HTTP/1.1", "").await;
    assert!(head.contains(" 200 "), "{head}");
    assert!(!head.contains("transfer-encoding"), "{head}");
    assert!(!head.contains("content-length"), "{head}");
    assert!(head.contains(&format!("content-type: {RAW}")), "{head}");
    rig.start("web").await;
    assert_eq!(read_rest(stream).await, b"\x01\0\0\0\0\0\0\x03hi\n");
}

#[tokio::test]
async fn wait_sends_its_head_before_the_container_starts() {
    let rig = Rig::with_busybox().await;
    rig.create("web", json!({ "Image": "busybox", "Cmd": ["false"] })).await;
    let (stream, head) = rig
        .raw("POST /containers/web/wait?condition=next-exit HTTP/1.1\r\nConnection: close", "")
        .await;
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    rig.start("web").await;
    let rest = String::from_utf8(read_rest(stream).await).unwrap();
    assert!(rest.contains("{\"StatusCode\":1}\n"), "{rest}");
}

#[tokio::test]
async fn an_exec_streams_and_leaves_its_exit_code() {
    let rig = running().await;
    let exec = exec(&rig, json!(["sh", "-c", "echo hi; exit 3"])).await;
    let (stream, head) =
        rig.upgrade(&format!("POST /exec/{exec}/start HTTP/1.1"), "{\"Detach\":false}").await;
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains(&format!("content-type: {MULTIPLEXED}")), "{head}");
    assert_eq!(read_rest(stream).await, b"\x01\0\0\0\0\0\0\x03hi\n");
    assert_eq!(rig.get(&format!("/exec/{exec}/json")).await.json()["ExitCode"], 3);
}

#[tokio::test]
async fn a_program_that_exec_cannot_run_is_told_in_the_stream() {
    let rig = running().await;
    let exec = exec(&rig, json!(["nosuch"])).await;
    let (stream, head) = rig.upgrade(&format!("POST /exec/{exec}/start HTTP/1.1"), "{}").await;
    assert!(head.starts_with("http/1.1 101"), "{head}");
    let text = String::from_utf8_lossy(&read_rest(stream).await).into_owned();
    assert!(text.contains("executable file not found in $PATH"), "{text}");
    assert_eq!(rig.get(&format!("/exec/{exec}/json")).await.json()["ExitCode"], 127);
}

#[tokio::test]
async fn the_head_is_out_before_an_exec_starts() {
    let rig = running().await;
    for (headers, status) in [("Connection: Upgrade\r\nUpgrade: tcp", 101), ("Accept: */*", 200)] {
        let exec = exec(&rig, json!(["echo", "hi"])).await;
        rig.runtime.hold_execs(true);
        let request = format!("POST /exec/{exec}/start HTTP/1.1\r\n{headers}");
        let (stream, head) = rig.raw(&request, "{}").await;
        assert!(head.contains(&format!(" {status} ")), "{head}");
        let shown = rig.get(&format!("/exec/{exec}/json")).await.json();
        assert_eq!((&shown["Running"], &shown["Pid"]), (&json!(false), &json!(0)));
        rig.runtime.hold_execs(false);
        assert_eq!(read_rest(stream).await, b"\x01\0\0\0\0\0\0\x03hi\n");
    }
}

#[tokio::test]
async fn an_exec_starts_although_its_client_has_gone() {
    let rig = running().await;
    let exec = exec(&rig, json!(["echo", "hi"])).await;
    rig.runtime.hold_execs(true);
    let (stream, _) = rig.upgrade(&format!("POST /exec/{exec}/start HTTP/1.1"), "{}").await;
    drop(stream);
    let ends = "GET /events?filters={%22event%22:[%22exec_die%22]} HTTP/1.1";
    let (mut events, _) = rig.raw(ends, "").await;
    rig.runtime.hold_execs(false);
    soon(events.read_u8()).await.unwrap();
    assert_eq!(rig.get(&format!("/exec/{exec}/json")).await.json()["ExitCode"], 0);
}

#[tokio::test]
async fn the_start_of_an_exec_says_how_its_output_is_framed() {
    let rig = running().await;
    let both = json!(["sh", "-c", "echo out; echo err >&2"]);
    for (created, started, expected, media_type) in
        [(true, false, &b"\x01\0\0\0\0\0\0\x03hi\n"[..], MULTIPLEXED), (false, true, b"out\n", RAW)]
    {
        let cmd = if created { json!(["echo", "hi"]) } else { both.clone() };
        let exec = exec_with(&rig, json!({ "Cmd": cmd, "Tty": created })).await;
        let (stream, head) = rig
            .upgrade(
                &format!("POST /exec/{exec}/start HTTP/1.1"),
                &json!({ "Tty": started }).to_string(),
            )
            .await;
        assert!(head.contains(&format!("content-type: {media_type}")), "{head}");
        assert_eq!(read_rest(stream).await, expected);
        let shown = rig.get(&format!("/exec/{exec}/json")).await.json();
        assert_eq!(shown["ProcessConfig"]["tty"], created);
    }
}

#[tokio::test]
async fn what_is_known_before_an_exec_starts_is_a_status() {
    let rig = running().await;
    let exec = exec(&rig, json!(["true"])).await;
    let (_, head) = rig.upgrade("POST /exec/0123/start HTTP/1.1", "{}").await;
    assert!(head.starts_with("http/1.1 404"), "{head}");
    let start = format!("POST /exec/{exec}/start HTTP/1.1");
    assert_eq!(rig.post("/containers/web/pause", Value::Null).await.status, 204);
    let (_, head) = rig.upgrade(&start, "{}").await;
    assert!(head.starts_with("http/1.1 409"), "{head}");
    assert_eq!(rig.post("/containers/web/unpause", Value::Null).await.status, 204);
    let (stream, _) = rig.upgrade(&start, "{}").await;
    assert!(read_rest(stream).await.is_empty());
    let (stream, head) = rig.upgrade(&start, "{}").await;
    assert!(head.starts_with("http/1.1 101"), "{head}");
    let text = String::from_utf8_lossy(&read_rest(stream).await).into_owned();
    assert!(text.ends_with("has already run\r\n"), "{text}");
}

#[tokio::test]
async fn an_exec_runs_once() {
    let rig = running().await;
    let exec = exec(&rig, json!(["true"])).await;
    let start = format!("/exec/{exec}/start");
    assert_eq!(rig.post(&start, json!({ "Detach": true })).await.status, 200);
    let again = rig.post(&start, json!({ "Detach": true })).await;
    assert_eq!(again.status, 409);
    assert!(again.message().starts_with(&format!("exec command {exec} ")), "{}", again.message());
    assert_eq!(rig.post("/containers/web/kill", Value::Null).await.status, 204);
    let late = rig.post(&start, json!({ "Detach": true })).await;
    assert_eq!(late.status, 409);
    assert!(late.message().ends_with("is not running"), "{}", late.message());
}

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

#[tokio::test]
async fn a_websocket_carries_messages_both_ways() {
    let rig = Rig::with_busybox().await;
    rig.create("cat", json!({ "Image": "busybox", "Cmd": ["cat"], "OpenStdin": true })).await;
    rig.start("cat").await;
    for (version, kind) in [("1.51", 0x82), ("1.27", 0x81)] {
        let path = format!("/v{version}/containers/cat/attach/ws?stream=1&stdin=1&stdout=1");
        let (mut stream, head) = rig.raw(&format!("GET {path} HTTP/1.1\r\n{WEBSOCKET}"), "").await;
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert!(head.contains("upgrade: websocket"), "{head}");
        assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        // Masked with zeros, which changes nothing.
        stream.write_all(b"\x82\x83\0\0\0\0hi\n").await.unwrap();
        let mut answer = [0; 5];
        soon(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(answer, [kind, 3, b'h', b'i', b'\n'], "{version}");
    }
    let path = "/containers/cat/attach/ws?stream=1&stdout=1";
    let (mut stream, _) = rig.raw(&format!("GET {path} HTTP/1.1\r\n{WEBSOCKET}"), "").await;
    assert_eq!(rig.post("/containers/cat/kill", Value::Null).await.status, 204);
    assert_eq!(soon(stream.read_u8()).await.unwrap(), 0x88, "the end is a close frame");
}

#[tokio::test]
async fn a_websocket_must_be_asked_for() {
    let rig = Rig::with_busybox().await;
    rig.create("cat", json!({ "Image": "busybox", "Cmd": ["cat"] })).await;
    let plain = rig.get("/containers/cat/attach/ws?stream=1").await;
    assert_eq!((plain.status, &*plain.message()), (400, "not websocket protocol"));
    let path = "/containers/nosuch/attach/ws?stream=1";
    let (_, head) = rig.raw(&format!("GET {path} HTTP/1.1\r\n{WEBSOCKET}"), "").await;
    assert!(head.starts_with("http/1.1 404"), "{head}");
}

/// With a container `web` that runs.
async fn running() -> Rig {
    let rig = Rig::with_busybox().await;
    rig.create("web", json!({ "Image": "busybox", "Cmd": ["sleep", "9"] })).await;
    rig.start("web").await;
    rig
}

async fn exec(rig: &Rig, cmd: Value) -> String {
    exec_with(rig, json!({ "Cmd": cmd })).await
}

async fn exec_with(rig: &Rig, mut request: Value) -> String {
    request["AttachStdout"] = json!(true);
    request["AttachStderr"] = json!(true);
    let created = rig.post("/containers/web/exec", request).await;
    created.json()["Id"].as_str().unwrap().to_owned()
}
