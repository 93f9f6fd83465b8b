//! Accepting connections to the API.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use engine_http::{Rights, Server, serve_connection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls::{self, Identity};

const HANDSHAKE: Duration = Duration::from_secs(10);
/// Clients that have not shown their certificate yet, at a time.
const HANDSHAKES: usize = 256;
const LINGER: Duration = Duration::from_millis(900);
/// Bytes that are read from a connection at once. Of its own rustls reads 4 KiB.
const READ: usize = 16 * 1024;
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The first byte of every TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;
const NOT_HTTPS: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

type Connection = TlsStream<BufReader<TcpStream>>;

/// Serves the API to clients with a certificate, for ever.
pub(crate) async fn tls(listener: TcpListener, identity: Arc<Identity>, server: Arc<Server>) {
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        // Waiting clients stay in the kernel's queue.
        let place = places.clone().acquire_owned().await;
        let (stream, peer) = accepted(|| listener.accept()).await;
        let (acceptor, server) = (identity.acceptor(), server.clone());
        tokio::spawn(async move {
            let shaken = tokio::time::timeout(HANDSHAKE, shake_hands(stream, acceptor)).await;
            drop(place);
            match shaken {
                Ok(Ok(stream)) => {
                    let rights = tls::rights(stream.get_ref().1);
                    serve_connection(stream, server, rights).await;
                }
                Ok(Err(error)) => tracing::info!(%peer, %error, "client refused"),
                Err(_) => tracing::info!(%peer, "client refused: no handshake in time"),
            }
        });
    }
}

/// Serves the whole API to whoever may open the socket's file, for ever.
pub(crate) async fn unix(listener: UnixListener, server: Arc<Server>) {
    loop {
        let (stream, _) = accepted(|| listener.accept()).await;
        tokio::spawn(serve_connection(stream, server.clone(), Rights::Full));
    }
}

/// The next connection.
async fn accepted<T, F: Future<Output = io::Result<T>>>(accept: impl Fn() -> F) -> T {
    loop {
        match accept().await {
            Ok(connection) => return connection,
            Err(error) => {
                // The connection was gone already, or descriptors ran out. Those come back when
                // something else ends, which nobody tells.
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn shake_hands(stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let mut first = [0; 1];
    if stream.peek(&mut first).await? == 1 && first[0] != TLS_HANDSHAKE {
        refuse(stream, if first[0].is_ascii_alphabetic() { NOT_HTTPS } else { b"" }).await;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not speak TLS"));
    }
    let stream = BufReader::with_capacity(READ, stream);
    match acceptor.accept(stream).into_fallible().await {
        Ok(stream) => Ok(stream),
        Err((error, stream)) => {
            refuse(stream.into_inner(), b"").await;
            Err(error)
        }
    }
}

/// Says a last word and waits a moment for the client to close: closing first while it still
/// sends would reset the connection, and take the word, or the TLS alert, back from it.
async fn refuse(mut stream: TcpStream, word: &[u8]) {
    let farewell = async {
        stream.write_all(word).await?;
        stream.shutdown().await?;
        while stream.read(&mut [0; 4096]).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether the client hears it is its own business.
    drop(tokio::time::timeout(LINGER, farewell).await);
}

#[cfg(test)]
mod tests;
