//! Proves that a machine's API answers those who may ask: one `GET /_ping` over mutual TLS.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PingError {
    #[error("{path} cannot be used: {because}")]
    Identity { path: String, because: String },
    #[error("the API does not take the connection: {0}")]
    Connection(#[from] io::Error),
    #[error("the API answered {0:?}")]
    Answer(String),
}

/// What a client needs to be let in.
#[derive(Debug)]
pub(crate) struct Identity {
    config: Arc<ClientConfig>,
}

impl Identity {
    pub(crate) fn read(ca: &Path, certificate: &Path, key: &Path) -> Result<Self, PingError> {
        fn unusable(path: &Path) -> impl FnOnce(String) -> PingError {
            let path = path.display().to_string();
            move |because| PingError::Identity { path, because }
        }
        let certificates = |path: &Path| {
            CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| unusable(path)(error.to_string()))
        };
        let mut roots = RootCertStore::empty();
        for root in certificates(ca)? {
            roots.add(root).map_err(|error| unusable(ca)(error.to_string()))?;
        }
        let chain = certificates(certificate)?;
        let key =
            PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key)(error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                config.with_root_certificates(roots).with_client_auth_cert(chain, key)
            })
            .map_err(|error| unusable(certificate)(error.to_string()))?;
        Ok(Self { config: Arc::new(config) })
    }

    /// Asks once.
    pub(crate) async fn ping(&self, port: u16) -> Result<(), PingError> {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let stream = TcpStream::connect((address, port)).await?;
        let connector = TlsConnector::from(self.config.clone());
        let mut stream = connector.connect(ServerName::from(address), stream).await?;
        stream
            .write_all(b"GET /_ping HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            .await?;
        // The status line is all that matters: "HTTP/1.1 200".
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        if &status == b"HTTP/1.1 200" {
            Ok(())
        } else {
            Err(PingError::Answer(String::from_utf8_lossy(&status).into_owned()))
        }
    }
}
