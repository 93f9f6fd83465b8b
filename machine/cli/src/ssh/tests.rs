//! The client against a small server of the same library.

use std::sync::{Arc, Mutex};

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server::{self, Auth, Msg, Server as _, Session};
use russh::{Channel, ChannelId};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

/// Echoes what it is sent; at the end of input it exits with the number that is the command.
#[derive(Clone)]
struct Echo {
    login: PublicKey,
    command: String,
}

impl server::Server for Echo {
    type Handler = Self;

    fn new_client(&mut self, _peer: Option<std::net::SocketAddr>) -> Self {
        self.clone()
    }
}

impl server::Handler for Echo {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: server::VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let known = user == USER && key.public_key.key_data() == self.login.key_data();
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: server::ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.command = String::from_utf8_lossy(data).into_owned();
        session.channel_success(channel)?;
        session.extended_data(channel, 1, "to stderr".as_bytes().to_vec())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.data(channel, data.to_vec())
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Ok(status) = self.command.parse() {
            session.exit_status_request(channel, status)?;
        }
        session.eof(channel)?;
        session.close(channel)
    }
}

fn new_key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn pem(key: &PrivateKey) -> String {
    key.to_openssh(LineEnding::LF).unwrap().to_string()
}

const HOST: u8 = 1;
const LOGIN: u8 = 2;

/// A server that trusts [`LOGIN`], and how it is reached.
async fn served() -> SshTarget {
    let listener = TcpListener::bind((ADDRESS, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = server::Config { keys: vec![new_key(HOST)], ..server::Config::default() };
    let mut echo = Echo { login: new_key(LOGIN).public_key().clone(), command: String::new() };
    tokio::spawn(async move {
        let _ended = echo.run_on_socket(Arc::new(config), &listener).await;
    });
    SshTarget { port, login_key: pem(&new_key(LOGIN)), host_key: pem(&new_key(HOST)) }
}

/// What came back: the outcome, stdout, stderr.
async fn echoed(command: &str, input: Vec<Vec<u8>>) -> (Outcome, Vec<u8>, Vec<u8>) {
    let target = served().await;
    let connection = connect(&target).await.unwrap();
    let (sender, receiver) = mpsc::channel(8);
    tokio::spawn(async move {
        for chunk in input {
            sender.send(chunk).await.unwrap();
        }
    });
    let (out, err) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let ui = Ui::of_sinks(out.clone(), err.clone());
    let outcome = session::run(&connection, What::Command(command.into()), receiver, &ui).await;
    let out = out.lock().unwrap().clone();
    let err = err.lock().unwrap().clone();
    (outcome, out, err)
}

#[tokio::test]
async fn the_remote_exit_status_and_both_streams_are_passed_on() {
    let (outcome, out, err) = echoed("42", vec![b"hello".to_vec()]).await;
    assert_eq!(outcome.unwrap(), 42);
    assert_eq!(out, b"hello");
    assert_eq!(err, b"to stderr");
}

#[tokio::test]
async fn more_than_a_window_flows_both_ways_and_the_end_of_input_is_passed_on() {
    let chunks = vec![vec![7; 32 * 1024]; 256];
    let (outcome, out, _) = echoed("0", chunks).await;
    assert_eq!(outcome.unwrap(), 0);
    assert_eq!(out.len(), 8 * 1024 * 1024);
}

#[tokio::test]
async fn a_connection_that_ends_without_a_status_is_a_failure() {
    let (outcome, _, _) = echoed("no number", Vec::new()).await;
    assert_eq!(outcome.unwrap_err().code(), 1);
}

#[tokio::test]
async fn a_server_with_another_key_is_not_talked_to() {
    let target = SshTarget { host_key: pem(&new_key(9)), ..served().await };
    let error = connect(&target).await.err().unwrap();
    assert!(error.message.contains("its key is another"), "{}", error.message);
}

#[tokio::test]
async fn a_login_that_is_refused_is_said_to_be() {
    let target = SshTarget { login_key: pem(&new_key(9)), ..served().await };
    let error = connect(&target).await.err().unwrap();
    assert!(error.message.contains("refuses"), "{}", error.message);
}
