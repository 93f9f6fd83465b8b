//! `docker.sock`: what tools that know no TLS find in a machine's directory.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use crate::harness::{Host, Running};

fn exchange(host: &Host, request: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(host.path("dev/docker.sock")).unwrap();
    let mut answer = Vec::new();
    let mut writing = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A connection that is not relayed is closed at once.
            writing.write_all(request).and_then(|()| writing.shutdown(Shutdown::Write)).ok();
        });
        stream.read_to_end(&mut answer).ok();
    });
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_is_reached_through_the_socket_by_its_owner_only() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    machine.until_there("docker.sock").await;
    let mode = host.path("dev/docker.sock").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let answer = exchange(&host, b"GET /info HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
    machine.end().await;
    host.assert_nothing_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_and_the_end_of_one_direction_get_through() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    machine.until_there("docker.sock").await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 253) as u8).collect();
    let request = [b"ECHO\n", &body[..]].concat();
    assert!(exchange(&host, &request) == body);
    machine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_that_was_replaced_is_used_at_once() {
    let host = Host::new();
    let machine = Running::start(&host).await;
    machine.until_there("docker.sock").await;
    std::fs::write(host.path("dev/key.pem"), "no key").unwrap();
    assert!(exchange(&host, b"GET /info HTTP/1.1\r\n\r\n").is_empty());
    machine.end().await;
}
