//! A client of the machine's API, with the machine's own client key: proves that the API answers
//! those who may ask, and opens connections for those on this host who may.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use machine_lifecycle::driver::VmSpec;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

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

/// What a client needs to be let in. The files are read again when they have changed.
#[derive(Debug)]
pub(crate) struct Client {
    port: u16,
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    known: Mutex<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    stamps: [Stamp; 3],
    config: Arc<ClientConfig>,
}

/// What changes when a file is replaced.
type Stamp = Option<(u64, i64, i64)>;

impl Client {
    pub(crate) fn open(spec: &VmSpec) -> Result<Self, PingError> {
        let client = Self {
            port: spec.api_port,
            ca: spec.ca_certificate.clone(),
            certificate: spec.client_certificate.clone(),
            key: spec.client_key.clone(),
            known: Mutex::new(None),
        };
        client.config()?;
        Ok(client)
    }

    /// A connection on which the API can be asked.
    pub(crate) async fn connect(&self) -> Result<TlsStream<TcpStream>, PingError> {
        let connector = TlsConnector::from(self.config()?);
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let stream = TcpStream::connect((address, self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(connector.connect(ServerName::from(address), stream).await?)
    }

    /// One `GET /_ping`.
    pub(crate) async fn ping(&self) -> Result<(), PingError> {
        let mut stream = self.connect().await?;
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

    fn config(&self) -> Result<Arc<ClientConfig>, PingError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = [&self.ca, &self.certificate, &self.key].map(|path| stamp(path));
        if let Some(known) = known.as_ref()
            && known.stamps == stamps
        {
            return Ok(known.config.clone());
        }
        let config = Arc::new(self.read()?);
        *known = Some(Known { stamps, config: config.clone() });
        Ok(config)
    }

    fn read(&self) -> Result<ClientConfig, PingError> {
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
        for root in certificates(&self.ca)? {
            roots.add(root).map_err(|error| unusable(&self.ca)(error.to_string()))?;
        }
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| unusable(&self.key)(error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                config.with_root_certificates(roots).with_client_auth_cert(chain, key)
            })
            .map_err(|error| unusable(&self.certificate)(error.to_string()))
    }
}

fn stamp(path: &Path) -> Stamp {
    let file = path.metadata().ok()?;
    Some((file.ino(), file.mtime(), file.mtime_nsec()))
}
