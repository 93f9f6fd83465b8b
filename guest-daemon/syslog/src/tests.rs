//! Against sockets of this machine.

use std::sync::Arc;

use engine::ports::SyslogTls;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, UnixListener};

use super::*;

async fn connection(address: SyslogAddress, tls: SyslogTls) -> Result<Box<dyn SyslogConnection>> {
    Network.connect(&SyslogTarget { address, tls }).await
}

async fn send(address: SyslogAddress, message: &[u8]) -> Result<()> {
    connection(address, SyslogTls::default()).await?.send(message).await
}

#[tokio::test]
async fn messages_arrive_over_every_kind_of_socket() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("stream"), folder.path().join("datagrams"));

    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    send(SyslogAddress::Udp(udp.local_addr().unwrap().to_string()), b"one\n").await.unwrap();
    let mut buffer = [0; 16];
    let count = udp.recv(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..count], b"one\n");

    let datagrams = UnixDatagram::bind(&other).unwrap();
    send(SyslogAddress::UnixDatagram(other), b"two\n").await.unwrap();
    let count = datagrams.recv(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..count], b"two\n");

    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    send(SyslogAddress::Tcp(tcp.local_addr().unwrap().to_string()), b"three\n").await.unwrap();
    let mut text = String::new();
    tcp.accept().await.unwrap().0.read_to_string(&mut text).await.unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    send(SyslogAddress::Unix(path), b"four\n").await.unwrap();
    unix.accept().await.unwrap().0.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "three\nfour\n");
}

#[tokio::test]
async fn who_is_not_there_is_named_as_by_docker() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = tcp.local_addr().unwrap().to_string();
    drop(tcp);
    let error = send(SyslogAddress::Tcp(place.clone()), b"x").await.unwrap_err();
    assert_eq!(error.to_string(), format!("dial tcp {place}: connect: connection refused"));
    let error = send(SyslogAddress::Unix("/nosuch/log".into()), b"x").await.unwrap_err();
    assert_eq!(error.to_string(), "dial unix /nosuch/log: connect: no such file or directory");
}

#[tokio::test]
async fn over_tls_only_a_daemon_of_the_named_authority_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let certificate = |key: &KeyPair| {
        CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(key).unwrap()
    };
    let own = certificate(&key);
    let (right, wrong) = (folder.path().join("right"), folder.path().join("wrong"));
    std::fs::write(&right, own.pem()).unwrap();
    std::fs::write(&wrong, certificate(&other).pem()).unwrap();

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![own.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = tcp.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move {
        let mut seen = Vec::new();
        for _ in 0..3 {
            let mut text = String::new();
            let (stream, _) = tcp.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                drop(stream.read_to_string(&mut text).await);
            }
            seen.push(text);
        }
        seen
    });

    let address = SyslogAddress::Tls(place);
    let with =
        |ca: &Path, unverified| SyslogTls { ca: ca.to_owned(), unverified, ..SyslogTls::default() };
    assert!(connection(address.clone(), with(&wrong, false)).await.is_err());
    for tls in [with(&right, false), with(&wrong, true)] {
        let mut connection = connection(address.clone(), tls).await.unwrap();
        connection.send(b"secret\n").await.unwrap();
        connection.close().await;
    }
    assert_eq!(server.await.unwrap(), ["", "secret\n", "secret\n"]);
}
