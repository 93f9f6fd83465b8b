//! Connections to syslog daemons: datagrams, streams, TLS, sockets of the guest.

mod tls;

use std::io;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use engine::error::{Error, Kind, Result};
use engine::ports::{Syslog, SyslogAddress, SyslogConnection, SyslogTarget};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream};

/// Where syslog daemons listen on the machine they run on.
const USUAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// Who has not answered by then does not.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a container's end waits for the other side to have read everything.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// The guest's network and its sockets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network;

#[async_trait]
impl Syslog for Network {
    async fn connect(&self, target: &SyslogTarget) -> Result<Box<dyn SyslogConnection>> {
        match &target.address {
            SyslogAddress::Local => local().await,
            SyslogAddress::Unix(path) => stream_socket(path).await,
            SyslogAddress::UnixDatagram(path) => datagram_socket(path),
            SyslogAddress::Udp(place) => {
                let socket = async {
                    let socket = UdpSocket::bind(unspecified(place)).await?;
                    socket.connect(place).await.map(|()| socket)
                };
                let socket = socket.await.map_err(|error| dial("udp", place, &error))?;
                Ok(Box::new(Datagrams(socket)))
            }
            SyslogAddress::Tcp(place) => Ok(Box::new(Stream(reach(place).await?))),
            SyslogAddress::Tls(place) => {
                let stream = tls::wrap(reach(place).await?, place, &target.tls).await?;
                Ok(Box::new(Stream(stream)))
            }
        }
    }
}

async fn reach(place: &str) -> Result<TcpStream> {
    let connected = tokio::time::timeout(PATIENCE, TcpStream::connect(place)).await;
    connected
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|error| dial("tcp", place, &error))
}

/// An address of the same family: a socket of the other one cannot be connected.
fn unspecified(place: &str) -> &'static str {
    if place.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" }
}

async fn local() -> Result<Box<dyn SyslogConnection>> {
    for path in USUAL.map(Path::new) {
        if let Ok(connection) = datagram_socket(path) {
            return Ok(connection);
        }
        if let Ok(connection) = stream_socket(path).await {
            return Ok(connection);
        }
    }
    Err(Error::new(Kind::Unavailable, "Unix syslog delivery error"))
}

async fn stream_socket(path: &Path) -> Result<Box<dyn SyslogConnection>> {
    let stream = UnixStream::connect(path).await;
    let stream = stream.map_err(|error| dial("unix", &path.to_string_lossy(), &error))?;
    Ok(Box::new(Stream(stream)))
}

fn datagram_socket(path: &Path) -> Result<Box<dyn SyslogConnection>> {
    let socket = UnixDatagram::unbound().and_then(|socket| socket.connect(path).map(|()| socket));
    let socket = socket.map_err(|error| dial("unixgram", &path.to_string_lossy(), &error))?;
    Ok(Box::new(LocalDatagrams(socket)))
}

struct Stream<S>(S);

#[async_trait]
impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> SyslogConnection for Stream<S> {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        let sent = async {
            self.0.write_all(message).await?;
            self.0.flush().await
        };
        sent.await.map_err(not_sent)
    }

    /// With TLS the other side has said something that nobody read: the kernel would answer its
    /// next word with a reset, which throws away what is still under way.
    async fn close(mut self: Box<Self>) {
        let closed = async {
            self.0.shutdown().await?;
            tokio::io::copy(&mut self.0, &mut tokio::io::sink()).await
        };
        drop(tokio::time::timeout(LAST_PATIENCE, closed).await);
    }
}

struct Datagrams(UdpSocket);

#[async_trait]
impl SyslogConnection for Datagrams {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        self.0.send(message).await.map(drop).map_err(not_sent)
    }
}

struct LocalDatagrams(UnixDatagram);

#[async_trait]
impl SyslogConnection for LocalDatagrams {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        self.0.send(message).await.map(drop).map_err(not_sent)
    }
}

fn not_sent(error: io::Error) -> Error {
    Error::caused(Kind::Unavailable, "cannot send to the syslog daemon", error)
}

fn dial(network: &str, place: &str, error: &io::Error) -> Error {
    let reason = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::NotFound => "connect: no such file or directory".to_owned(),
        io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
        io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        _ => error.to_string(),
    };
    Error::new(Kind::Unavailable, format!("dial {network} {place}: {reason}"))
}

/// Reads one of the user's PEM files.
fn file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::caused(Kind::InvalidArgument, format!("cannot read {}", path.display()), error)
    })
}

#[cfg(test)]
mod tests;
