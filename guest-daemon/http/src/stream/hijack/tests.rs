//! The dance at the end of streams.

use tokio::io::{DuplexStream, duplex, split};
use tokio::sync::mpsc;

use super::*;

struct Rig {
    client: DuplexStream,
    stdin: mpsc::Receiver<Bytes>,
    stdout: mpsc::Sender<engine::Result<Output>>,
    server: tokio::task::JoinHandle<()>,
}

fn rig(tty: bool) -> Rig {
    let (client, server) = duplex(1 << 20);
    let (stdin_sender, stdin) = mpsc::channel(8);
    let (stdout, mut output) = mpsc::channel(8);
    let output = futures::stream::poll_fn(move |context| output.poll_recv(context)).boxed();
    let input = Some(AttachedInput::new(stdin_sender));
    let (reader, writer) = split(server);
    let server = tokio::spawn(run(reader, writer, Attachment { tty, input, output }));
    Rig { client, stdin, stdout, server }
}

fn says(text: &str) -> engine::Result<Output> {
    Ok(Output { stream: Stream::Stdout, data: Bytes::copy_from_slice(text.as_bytes()) })
}

#[tokio::test]
async fn output_goes_on_after_the_client_ended_its_input() {
    let mut rig = rig(true);
    rig.client.write_all(b"in").await.unwrap();
    rig.client.shutdown().await.unwrap();
    assert_eq!(rig.stdin.recv().await.as_deref(), Some(&b"in"[..]));
    assert_eq!(rig.stdin.recv().await, None, "the end of input arrives");
    rig.stdout.send(says("late")).await.unwrap();
    drop(rig.stdout);
    let mut seen = Vec::new();
    rig.client.read_to_end(&mut seen).await.unwrap();
    assert_eq!(seen, b"late");
    rig.server.await.unwrap();
}

#[tokio::test]
async fn everything_is_sent_before_the_end() {
    let mut rig = rig(false);
    for _ in 0..1000 {
        rig.stdout.send(says("0123456789")).await.unwrap();
    }
    drop(rig.stdout);
    let mut seen = Vec::new();
    rig.client.read_to_end(&mut seen).await.unwrap();
    assert_eq!(seen.len(), 1000 * 18);
    drop(rig.client);
    rig.server.await.unwrap();
}

#[tokio::test]
async fn output_is_seen_while_the_process_pauses() {
    let mut rig = rig(true);
    rig.stdout.send(says("prompt> ")).await.unwrap();
    let mut seen = [0; 8];
    rig.client.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, b"prompt> ");
}

#[tokio::test]
async fn input_that_nobody_reads_is_dropped_until_the_client_ends() {
    let mut rig = rig(true);
    drop(rig.stdin);
    rig.client.write_all(&[0; 100_000]).await.unwrap();
    drop(rig.stdout);
    let mut seen = Vec::new();
    rig.client.read_to_end(&mut seen).await.unwrap();
    drop(rig.client);
    rig.server.await.unwrap();
}

#[tokio::test]
async fn a_client_that_breaks_off_frees_everything() {
    struct Broken;
    impl AsyncRead for Broken {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Err(std::io::ErrorKind::UnexpectedEof.into()))
        }
    }
    let (stdin_sender, mut stdin) = mpsc::channel(8);
    let attachment = Attachment {
        tty: false,
        input: Some(AttachedInput::new(stdin_sender)),
        output: futures::stream::pending().boxed(),
    };
    run(Broken, tokio::io::sink(), attachment).await;
    assert_eq!(stdin.recv().await, None);
}
