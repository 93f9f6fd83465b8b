//! Forwarded connections: from the client to an address or a unix socket of the guest (`ssh -L`),
//! from a port of the guest to the client (`ssh -R`), and from a command's streams to the engine
//! (`docker -H ssh://...`).
//!
//! A program that does not read what it is sent holds the whole connection back, as in `relay`;
//! what it writes is then taken in all the same, so that it can get round to reading.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::server::{ChannelOpenHandle, Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelOpenFailure, ChannelReadHalf};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::relay::{CHUNK_BYTES, Output, STDERR, close, copy_output, report};

/// How long a connection within the guest may take.
const CONNECT: Duration = Duration::from_secs(20);
/// Ports that one connection may have listened on.
const LISTENERS: usize = 64;
/// The raw status of a process that exits with 1.
const EXIT_1: i32 = 1 << 8;
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A channel that was asked for and its place among the connection's channels.
pub(crate) struct Asked {
    pub(crate) channel: Channel<Msg>,
    pub(crate) reply: ChannelOpenHandle,
    pub(crate) session: Handle,
    pub(crate) place: OwnedSemaphorePermit,
}

/// With what docker commands reach the engine at the other end of an SSH connection. The guest has
/// no `docker` command: its streams are connected to the engine here.
pub(crate) const DIAL: &[u8] = b"docker system dial-stdio";

/// Connects the streams of [`DIAL`] to the engine's socket.
pub(crate) async fn to_engine(
    channel: Channel<Msg>,
    session: Handle,
    place: OwnedSemaphorePermit,
    socket: PathBuf,
) {
    let id = channel.id();
    match UnixStream::connect(&socket).await {
        Ok(stream) => {
            let (from_engine, to_engine) = stream.into_split();
            if relay(channel, from_engine, to_engine).await == Client::Stays {
                report(&session, id, 0).await;
            }
        }
        Err(error) => {
            let text = format!("cannot reach {}: {error}\n", socket.display());
            let _gone = channel.extended_data_bytes(STDERR, text).await;
            report(&session, id, EXIT_1).await;
        }
    }
    drop(place);
}

/// Connects the channel to an address that the guest can reach.
pub(crate) async fn to_address(asked: Asked, host: String, port: u16) {
    let connect = async {
        let stream = TcpStream::connect((host.as_str(), port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    run(asked, connect, |stream| stream.into_split()).await;
}

/// Connects the channel to a unix socket of the guest.
pub(crate) async fn to_socket(asked: Asked, path: String) {
    run(asked, UnixStream::connect(path), |stream| stream.into_split()).await;
}

async fn run<S, R, W>(
    asked: Asked,
    connect: impl Future<Output = io::Result<S>>,
    split: impl FnOnce(S) -> (R, W),
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Asked { channel, reply, session, place } = asked;
    let connected = tokio::time::timeout(CONNECT, connect).await;
    match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => {
            reply.accept().await;
            relay_and_close(channel, &session, split(stream)).await;
        }
        Err(error) => {
            tracing::debug!(%error, "ssh: a forwarded connection was refused");
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
        }
    }
    drop(place);
}

async fn relay_and_close<R, W>(
    channel: Channel<Msg>,
    session: &Handle,
    (from_program, to_program): (R, W),
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let id = channel.id();
    if relay(channel, from_program, to_program).await == Client::Stays {
        close(session, id).await;
    }
}

/// Whether the client still waits for the channel's end.
#[derive(PartialEq, Eq)]
enum Client {
    Stays,
    HasGone,
}

/// Until both directions have ended or one side has gone.
async fn relay<R, W>(channel: Channel<Msg>, from_program: R, mut to_program: W) -> Client
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (mut from_client, to_client) = channel.split();
    let stalled = watch::Sender::new(false);
    let output = async {
        copy_output(StreamOutput(from_program), &to_client, None, stalled.subscribe()).await?;
        to_client.eof().await.map_err(io::Error::other)
    };
    let ended = {
        let input = input(&mut from_client, &mut to_program, &stalled);
        tokio::pin!(input, output);
        tokio::select! {
            ended = &mut output => match ended {
                Ok(()) => input.await,
                Err(error) => Err(error),
            },
            ended = &mut input => match ended {
                Ok(Closed::Half) => output.await.map(|()| Closed::Half),
                other => other,
            },
        }
    };
    match ended {
        Ok(Closed::Whole) => Client::HasGone,
        Ok(Closed::Half) => Client::Stays,
        Err(error) => {
            tracing::debug!(%error, "ssh: a forwarded connection broke");
            Client::Stays
        }
    }
}

/// How the client ended its direction.
enum Closed {
    /// It sends nothing more.
    Half,
    /// It takes nothing either.
    Whole,
}

async fn input(
    from_client: &mut ChannelReadHalf,
    to_program: &mut (impl AsyncWrite + Unpin),
    stalled: &watch::Sender<bool>,
) -> io::Result<Closed> {
    while let Some(message) = from_client.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                stalled.send_replace(true);
                let written = to_program.write_all(&data).await;
                stalled.send_replace(false);
                written?;
            }
            ChannelMsg::Eof => {
                to_program.shutdown().await?;
                return Ok(Closed::Half);
            }
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    Ok(Closed::Whole)
}

struct StreamOutput<R>(R);

impl<R: AsyncRead + Unpin> Output for StreamOutput<R> {
    async fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(CHUNK_BYTES);
        self.0.read_buf(&mut bytes).await?;
        Ok(bytes)
    }
}

/// The ports of the guest on which a client has us listen; they close with its connection.
#[derive(Default)]
pub(crate) struct Listeners {
    tasks: JoinSet<()>,
    by_address: HashMap<(String, u16), AbortHandle>,
}

impl Listeners {
    /// Listens where the client wants it; the answer is the port.
    pub(crate) async fn open(
        &mut self,
        address: &str,
        port: u16,
        session: Handle,
        places: Arc<Semaphore>,
    ) -> io::Result<u16> {
        // What has ended is forgotten here.
        while self.tasks.try_join_next().is_some() {}
        if self.by_address.len() >= LISTENERS {
            return Err(io::Error::other("too many forwarded ports"));
        }
        let host = match address {
            "" | "*" => "0.0.0.0",
            "localhost" => "127.0.0.1",
            other => other,
        };
        let listener = TcpListener::bind((host, port)).await?;
        let port = listener.local_addr()?.port();
        let address = address.to_owned();
        let serving = serve(listener, address.clone(), port, session, places);
        self.by_address.insert((address, port), self.tasks.spawn(serving));
        Ok(port)
    }

    pub(crate) fn close(&mut self, address: &str, port: u16) -> bool {
        match self.by_address.remove(&(address.to_owned(), port)) {
            Some(task) => {
                task.abort();
                true
            }
            None => false,
        }
    }
}

async fn serve(
    listener: TcpListener,
    address: String,
    port: u16,
    session: Handle,
    places: Arc<Semaphore>,
) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // As in `Server::serve`.
                tracing::warn!(%error, "ssh: a connection to a forwarded port was not accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!(%peer, "too many forwarded ssh connections");
            continue;
        };
        let (session, address) = (session.clone(), address.clone());
        tokio::spawn(async move {
            let opened = session.channel_open_forwarded_tcpip(
                address,
                port.into(),
                peer.ip().to_string(),
                peer.port().into(),
            );
            match opened.await {
                Ok(channel) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "ssh: a forwarded connection is slow");
                    }
                    relay_and_close(channel, &session, stream.into_split()).await;
                }
                Err(error) => tracing::debug!(%error, "ssh: the client takes no connection"),
            }
            drop(place);
        });
    }
}
