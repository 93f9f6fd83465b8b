//! The server, with a client of the same library and the real shell of this system.

mod forwarding;
mod openssh;

use std::net::SocketAddr;

use russh::client;
use russh::keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg, key::safe_rng};
use russh::{ChannelMsg, Sig};

use super::*;

struct TrustingClient;

impl client::Handler for TrustingClient {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        _key: &russh::keys::PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

struct Machine {
    address: SocketAddr,
    key: Arc<PrivateKey>,
}

fn new_key() -> PrivateKey {
    PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap()
}

impl Machine {
    async fn start() -> Self {
        Self::with_engine(Path::new("/nonexistent/socket")).await
    }

    async fn with_engine(socket: &Path) -> Self {
        let key = new_key();
        let identity = SshIdentity {
            host_key: new_key().to_openssh(Default::default()).unwrap().to_string(),
            authorized_keys: vec![key.public_key().to_openssh().unwrap()],
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server { engine: socket.into(), ..Server::new(&identity).unwrap() };
        tokio::spawn(server.serve(listener));
        Machine { address, key: Arc::new(key) }
    }

    async fn connect(&self) -> client::Handle<TrustingClient> {
        let config = Arc::new(client::Config::default());
        client::connect(config, self.address, TrustingClient).await.unwrap()
    }

    async fn log_in(&self, user: &str, key: Arc<PrivateKey>) -> bool {
        let mut client = self.connect().await;
        let key = PrivateKeyWithHashAlg::new(key, None);
        client.authenticate_publickey(user, key).await.unwrap().success()
    }

    async fn session(&self) -> (client::Handle<TrustingClient>, russh::Channel<client::Msg>) {
        let mut client = self.connect().await;
        let key = PrivateKeyWithHashAlg::new(self.key.clone(), None);
        assert!(client.authenticate_publickey("root", key).await.unwrap().success());
        let channel = client.channel_open_session().await.unwrap();
        (client, channel)
    }

    async fn run(&self, command: &str, input: &[u8]) -> Ended {
        let (_client, channel) = self.session().await;
        channel.exec(true, command).await.unwrap();
        channel.data(input).await.unwrap();
        channel.eof().await.unwrap();
        Ended::collect(channel).await
    }
}

#[derive(Debug, Default, PartialEq)]
struct Ended {
    stdout: String,
    stderr: String,
    status: Option<u32>,
    signal: Option<String>,
    refused: bool,
}

impl Ended {
    async fn collect(mut channel: russh::Channel<client::Msg>) -> Self {
        let mut ended = Ended::default();
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => {
                    ended.stdout.push_str(std::str::from_utf8(&data).unwrap());
                }
                ChannelMsg::ExtendedData { data, .. } => {
                    ended.stderr.push_str(std::str::from_utf8(&data).unwrap());
                }
                ChannelMsg::ExitStatus { exit_status } => ended.status = Some(exit_status),
                ChannelMsg::ExitSignal { signal_name, .. } => {
                    ended.signal = Some(format!("{signal_name:?}"));
                }
                ChannelMsg::Failure => {
                    ended.refused = true;
                    break;
                }
                ChannelMsg::Close => break,
                _ => {}
            }
        }
        ended
    }
}

#[tokio::test]
async fn only_the_machine_s_key_opens_it_and_only_for_its_users() {
    let machine = Machine::start().await;
    assert!(machine.log_in("root", machine.key.clone()).await);
    assert!(machine.log_in("docker", machine.key.clone()).await);
    assert!(!machine.log_in("somebody", machine.key.clone()).await);
    assert!(!machine.log_in("root", Arc::new(new_key())).await);
}

#[tokio::test]
async fn no_password_is_asked_for() {
    let machine = Machine::start().await;
    let answer = machine.connect().await.authenticate_password("root", "").await.unwrap();
    let client::AuthResult::Failure { remaining_methods, .. } = answer else {
        panic!("a password was accepted");
    };
    assert_eq!(&*remaining_methods, [MethodKind::PublicKey]);
}

#[tokio::test]
async fn a_command_s_streams_and_exit_status_come_back() {
    let machine = Machine::start().await;
    let ended = machine.run("echo out; echo err >&2; exit 42", b"").await;
    assert_eq!(
        ended,
        Ended {
            stdout: "out\n".to_owned(),
            stderr: "err\n".to_owned(),
            status: Some(42),
            ..Ended::default()
        }
    );
}

#[tokio::test]
async fn a_command_sees_the_end_of_its_input() {
    let ended = Machine::start().await.run("cat; echo done", b"some input\n").await;
    assert_eq!(ended.stdout, "some input\ndone\n");
}

#[tokio::test]
async fn death_by_a_signal_is_told_as_such() {
    let ended = Machine::start().await.run("kill -TERM $$", b"").await;
    assert_eq!((ended.signal.as_deref(), ended.status), (Some("TERM"), None));
}

#[tokio::test]
async fn the_environment_has_what_a_shell_needs_and_what_may_be_set() {
    let machine = Machine::start().await;
    let (_client, channel) = machine.session().await;
    channel.set_env(false, "LANG", "C.UTF-8").await.unwrap();
    channel.set_env(false, "LD_PRELOAD", "/evil").await.unwrap();
    channel.exec(true, "echo $HOME $LANG $DOCKER_HOST$LD_PRELOAD $(pwd)").await.unwrap();
    assert_eq!(Ended::collect(channel).await.stdout, "/root C.UTF-8 /root\n");
}

#[tokio::test]
async fn a_terminal_has_a_size_that_follows_the_client_s() {
    let machine = Machine::start().await;
    let (_client, channel) = machine.session().await;
    channel.request_pty(true, "xterm", 100, 30, 0, 0, &[]).await.unwrap();
    let script = "trap 'stty size; exit 5' WINCH; stty size; echo $TERM; \
                  while :; do read line; done";
    channel.exec(true, script).await.unwrap();
    let mut channel = channel;
    let mut seen = String::new();
    while !seen.contains("xterm") {
        if let Some(ChannelMsg::Data { data }) = channel.wait().await {
            seen.push_str(std::str::from_utf8(&data).unwrap());
        }
    }
    assert_eq!(seen, "30 100\r\nxterm\r\n");
    channel.window_change(90, 20, 0, 0).await.unwrap();
    // A key, because a shell runs its traps when reading ends.
    channel.data(&b"\n"[..]).await.unwrap();
    let ended = Ended::collect(channel).await;
    assert!(ended.stdout.contains("20 90"), "{}", ended.stdout);
    assert_eq!(ended.status, Some(5));
}

#[tokio::test]
async fn a_terminal_s_session_ends_with_its_shell_whatever_runs_in_the_background() {
    let machine = Machine::start().await;
    let (_client, channel) = machine.session().await;
    channel.request_pty(true, "xterm", 100, 30, 0, 0, &[]).await.unwrap();
    let script = "trap '' HUP; sleep 600 & echo $!; exit 3";
    channel.exec(true, script).await.unwrap();
    let ended = Ended::collect(channel).await;
    assert_eq!(ended.status, Some(3));
    let pid = nix::unistd::Pid::from_raw(ended.stdout.trim().parse().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_signal_reaches_the_command() {
    let machine = Machine::start().await;
    let (_client, mut channel) = machine.session().await;
    channel
        .exec(true, "trap 'exit 9' USR1; echo ready; while :; do sleep 0.01; done")
        .await
        .unwrap();
    while !matches!(channel.wait().await, Some(ChannelMsg::Data { .. })) {}
    channel.signal(Sig::USR1).await.unwrap();
    assert_eq!(Ended::collect(channel).await.status, Some(9));
}

#[tokio::test]
async fn an_unknown_subsystem_is_refused() {
    let machine = Machine::start().await;
    let (_client, channel) = machine.session().await;
    channel.request_subsystem(true, "netconf").await.unwrap();
    assert!(Ended::collect(channel).await.refused);
}

#[tokio::test]
async fn much_input_that_is_echoed_does_not_hang_the_connection() {
    const CHUNK: &[u8] = &[b'x'; 64 * 1024];
    const CHUNKS: usize = 256;
    let machine = Machine::start().await;
    let (_client, channel) = machine.session().await;
    channel.exec(true, "cat").await.unwrap();
    let (mut reader, writer) = channel.split();
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
