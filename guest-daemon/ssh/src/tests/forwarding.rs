//! Forwarded connections, of this library's client and of OpenSSH's.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::openssh::Reachable;
use super::*;

/// Answers each connection with what it sends, to its end.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _gone = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    address
}

async fn opened(
    client: &client::Handle<TrustingClient>,
    address: SocketAddr,
) -> Result<russh::Channel<client::Msg>, russh::Error> {
    client.channel_open_direct_tcpip("127.0.0.1", address.port().into(), "127.0.0.1", 1).await
}

#[tokio::test]
async fn much_that_is_echoed_over_a_forwarded_connection_arrives() {
    const CHUNK: &[u8] = &[b'x'; 64 * 1024];
    const CHUNKS: usize = 256;
    let address = echo().await;
    let machine = Machine::start().await;
    let (client, _channel) = machine.session().await;
    let (mut reader, writer) = opened(&client, address).await.unwrap().split();
    let sending = tokio::spawn(async move {
        for _ in 0..CHUNKS {
            writer.data_bytes(CHUNK).await.unwrap();
        }
        writer.eof().await.unwrap();
        writer
    });
    let mut received = 0;
    while let Some(message) = reader.wait().await {
        match message {
            ChannelMsg::Data { data } => received += data.len(),
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    assert_eq!(received, CHUNK.len() * CHUNKS);
    drop(sending.await.unwrap());
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_refused_and_the_connection_stays() {
    let machine = Machine::start().await;
    let (client, channel) = machine.session().await;
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = opened(&client, unused).await.unwrap_err();
    assert!(
        matches!(
            refused,
            russh::Error::ChannelOpenFailure(russh::ChannelOpenFailure::ConnectFailed)
        ),
        "{refused:?}"
    );
    channel.exec(true, "echo still here").await.unwrap();
    assert_eq!(Ended::collect(channel).await.stdout, "still here\n");
}

#[tokio::test]
async fn a_connection_has_a_bounded_number_of_channels() {
    let address = echo().await;
    let machine = Machine::start().await;
    let (client, first) = machine.session().await;
    let mut channels = vec![];
    while let Ok(channel) = opened(&client, address).await {
        channels.push(channel);
    }
    assert_eq!(channels.len(), 255);
    // What ends makes room.
    first.exec(true, "true").await.unwrap();
    Ended::collect(first).await;
    assert!(opened(&client, address).await.is_ok());
}

#[tokio::test]
async fn ssh_forwards_a_stream_to_an_address() {
    let address = echo().await;
    let machine = Reachable::start().await;
    let mut ssh = machine.command("ssh");
    let target = format!("localhost:{}", address.port());
    let mut ssh = ssh.args(["-W", &target, "dev"]).stdin(Stdio::piped()).spawn().unwrap();
    ssh.stdin.take().unwrap().write_all(b"there and back").await.unwrap();
    let output = ssh.wait_with_output().await.unwrap();
    assert_eq!(output.stdout, b"there and back");
    assert!(output.status.success());
}

#[tokio::test]
async fn ssh_forwards_a_unix_socket() {
    let machine = Reachable::start().await;
    let (near, far) = (machine.path("near.sock"), machine.path("far.sock"));
    let listener = UnixListener::bind(&far).unwrap();
    let sockets = format!("{}:{}", near.display(), far.display());
    // The command tells that the forwarding is in place, and ends with its input.
    let mut ssh = machine.command("ssh");
    let mut ssh =
        ssh.args(["-L", &sockets, "dev", "echo ready; cat"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(ssh.stdout.take().unwrap()).read_line(&mut ready).await.unwrap();
    assert_eq!(ready, "ready\n");
    let asking = async {
        let mut stream = UnixStream::connect(&near).await.unwrap();
        stream.write_all(b"question").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut question = String::new();
        stream.read_to_string(&mut question).await.unwrap();
        stream.write_all(b"answer to ").await.unwrap();
        stream.write_all(question.as_bytes()).await.unwrap();
    };
    let (answer, ()) = tokio::join!(asking, answering);
    assert_eq!(answer, "answer to question");
}

#[tokio::test]
async fn ssh_forwards_a_port_of_the_guest_back_until_it_ends() {
    let address = echo().await;
    let machine = Reachable::start().await;
    let mut ssh = machine.command("ssh");
    let back = format!("0:127.0.0.1:{}", address.port());
    let mut ssh = ssh
        .args(["-o", "LogLevel=INFO", "-R", &back, "dev", "cat"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(ssh.stderr.take().unwrap()).lines();
    let port: u16 = loop {
        let line = lines.next_line().await.unwrap().expect("the port is told");
        if let Some(rest) = line.strip_prefix("Allocated port ") {
            break rest.split(' ').next().unwrap().parse().unwrap();
        }
    };
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"round").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "round");
    drop(ssh.stdin.take());
    ssh.wait().await.unwrap();
    // The server hears of the end a little later than we do: until then it may still accept.
    let gone = async {
        while let Ok(mut late) = TcpStream::connect(("127.0.0.1", port)).await {
            let _end = late.read_to_end(&mut Vec::new()).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.unwrap();
}

#[tokio::test]
async fn docker_commands_reach_the_engine_through_ssh() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("engine.sock");
    let engine = UnixListener::bind(&socket).unwrap();
    let machine = Machine::with_engine(&socket).await;
    let answering = tokio::spawn(async move {
        let (mut stream, _) = engine.accept().await.unwrap();
        let mut question = String::new();
        stream.read_to_string(&mut question).await.unwrap();
        stream.write_all(question.to_uppercase().as_bytes()).await.unwrap();
    });
    let ended = machine.run("docker system dial-stdio", b"ping").await;
    answering.await.unwrap();
    assert_eq!((ended.stdout.as_str(), ended.status), ("PING", Some(0)));

    let ended = Machine::start().await.run("docker system dial-stdio", b"").await;
    assert!(ended.stderr.starts_with("cannot reach /nonexistent/socket"), "{ended:?}");
    assert_eq!(ended.status, Some(1));
}
