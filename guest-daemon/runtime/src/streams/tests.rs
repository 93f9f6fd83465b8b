//! Pipes and terminals as the engine uses them.

use std::io::Write as _;

use super::*;

fn pipe() -> (std::fs::File, OwnedFd) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    (writer.into(), reader)
}

#[tokio::test]
async fn what_is_peeked_stays_until_it_is_consumed() {
    let (mut process, reader) = pipe();
    let mut output = PipeOutput::new(reader).unwrap();
    process.write_all(b"hello").unwrap();
    assert_eq!(output.peek().await.unwrap(), b"hello");
    process.write_all(b" world").unwrap();
    assert_eq!(output.peek().await.unwrap(), b"hello world");
    output.consume(6).await.unwrap();
    assert_eq!(output.peek().await.unwrap(), b"world");
}

#[tokio::test]
async fn the_next_daemon_sees_what_was_not_consumed() {
    let (mut process, reader) = pipe();
    let kept = reader.try_clone().unwrap();
    process.write_all(b"line\n").unwrap();
    drop(process);
    let mut output = PipeOutput::new(reader).unwrap();
    assert_eq!(output.peek().await.unwrap(), b"line\n");
    drop(output);
    let mut output = PipeOutput::new(kept).unwrap();
    assert_eq!(output.peek().await.unwrap(), b"line\n");
    output.consume(5).await.unwrap();
    assert_eq!(output.peek().await.unwrap(), b"", "the end");
}

#[tokio::test]
async fn peeking_waits_for_output() {
    let (mut process, reader) = pipe();
    let mut output = PipeOutput::new(reader).unwrap();
    let waiting = tokio::spawn(async move { output.peek().await.unwrap() });
    tokio::task::yield_now().await;
    process.write_all(b"late").unwrap();
    assert_eq!(waiting.await.unwrap(), b"late");
}

#[tokio::test]
async fn a_full_pipe_comes_out_whole() {
    let (mut process, reader) = pipe();
    let expected: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    let data = expected.clone();
    let writer = std::thread::spawn(move || process.write_all(&data).unwrap());
    let mut output = PipeOutput::new(reader).unwrap();
    let mut read = Vec::new();
    loop {
        let bytes = output.peek().await.unwrap();
        if bytes.is_empty() {
            break;
        }
        let part = bytes.len().div_ceil(2);
        output.consume(part).await.unwrap();
        read.extend_from_slice(&bytes[..part]);
    }
    writer.join().unwrap();
    assert_eq!(read, expected);
}

#[tokio::test]
async fn a_terminal_echoes_resizes_and_ends() {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let input = TerminalInput::new(terminal.master.try_clone().unwrap()).unwrap();
    let mut output = TerminalOutput::new(terminal.master).unwrap();
    input.write_all(b"hi\r").await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"\n") {
        let bytes = output.peek().await.unwrap();
        output.consume(bytes.len()).await.unwrap();
        seen.extend(bytes);
    }
    assert_eq!(seen, b"hi\r\n");
    input.resize(TerminalSize { rows: 7, columns: 42 }).await.unwrap();
    let size = rustix::termios::tcgetwinsize(&terminal.slave).unwrap();
    assert_eq!((size.ws_row, size.ws_col), (7, 42));
    drop(terminal.slave);
    assert_eq!(output.peek().await.unwrap(), b"", "the end");
}
