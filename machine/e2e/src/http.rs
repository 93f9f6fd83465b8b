//! One HTTP request over a connection of its own: what a test says to a registry on this host.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Result<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
        Ok(found.with_context(|| format!("no {name} in {}", self.head))?.1.trim())
    }
}

/// Sends it to `HOST:PORT` and reads to the end of the answer.
pub fn send(host: &str, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect(host)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    let mut whole = Vec::new();
    stream.read_to_end(&mut whole)?;
    let end = whole.windows(4).position(|four| four == b"\r\n\r\n").context("no whole answer")?;
    let head = String::from_utf8_lossy(&whole[..end]).into_owned();
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok(Answer { status, head, body: whole.split_off(end + 4) })
}

/// The same, which has to succeed.
pub fn ask(host: &str, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<Answer> {
    let answer = send(host, method, path, kind, body)?;
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status < 300, "{method} {path}: {} {text}", answer.head);
    Ok(answer)
}
