//! The Docker Engine API over one connection, without a docker command in between.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

/// Where an engine listens.
#[derive(Clone, Debug)]
pub enum Place {
    Unix(PathBuf),
    /// On the loopback address, with TLS.
    Port(u16, Arc<ClientConfig>),
}

impl Place {
    /// As the docker command gets there: with the three files of its `DOCKER_CERT_PATH`, and a
    /// whole handshake for each connection.
    pub fn with_certificates(port: u16, folder: &Path) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(folder.join("ca.pem"))?)?;
        let chain = vec![CertificateDer::from_pem_file(folder.join("cert.pem"))?];
        let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        config.resumption = Resumption::disabled();
        Ok(Self::Port(port, Arc::new(config)))
    }
}

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// A connection that is kept.
pub struct Api(BufReader<Box<dyn Stream>>);

/// No answer takes longer.
const LIMIT: Duration = Duration::from_secs(120);

impl Api {
    pub fn connect(place: &Place) -> Result<Self> {
        let stream: Box<dyn Stream> = match place {
            Place::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(LIMIT))?;
                Box::new(stream)
            }
            Place::Port(port, config) => {
                let stream = TcpStream::connect(("127.0.0.1", *port))?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(LIMIT))?;
                let server = ServerName::try_from("127.0.0.1")?;
                Box::new(StreamOwned::new(ClientConnection::new(config.clone(), server)?, stream))
            }
        };
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request and reads the whole answer; fails unless the status is a good one.
    pub fn call(&mut self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} /v1.47{path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        let (status, body) = self.answer().with_context(|| format!("{method} {path}"))?;
        let text = String::from_utf8_lossy(&body);
        ensure!(status < 400, "{method} {path}: {status} {text}");
        Ok(serde_json::from_slice(&body).unwrap_or_else(|_| Value::from(text)))
    }

    fn answer(&mut self) -> Result<(u16, Vec<u8>)> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).context("no status")?.parse()?;
        let (mut length, mut chunked) = (None, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            let Some((name, value)) = line.split_once(':') else { break };
            match name {
                "content-length" => length = Some(value.trim().parse()?),
                "transfer-encoding" => chunked = value.contains("chunked"),
                _ => {}
            }
        }
        let mut body = Vec::new();
        if chunked {
            loop {
                let size = usize::from_str_radix(&self.line()?, 16)?;
                self.exactly(size, &mut body)?;
                self.line()?;
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = length {
            self.exactly(length, &mut body)?;
        } else if status != 204 && status != 304 {
            // A stream of raw bytes: the connection ends with it.
            self.0.read_to_end(&mut body)?;
        }
        Ok((status, body))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            bail!("the connection was closed");
        }
        Ok(line.trim_end().to_owned())
    }

    fn exactly(&mut self, size: usize, into: &mut Vec<u8>) -> Result<()> {
        let start = into.len();
        into.resize(start + size, 0);
        Ok(self.0.read_exact(&mut into[start..])?)
    }

    /// Creates, starts and awaits a container of busybox that runs `true`, and removes it.
    pub fn whole_life(&mut self) -> Result<()> {
        let wanted = json!({ "Image": "busybox", "Cmd": ["true"] });
        let made = self.call("POST", "/containers/create", &wanted)?;
        let id = made["Id"].as_str().context("no id")?.to_owned();
        self.call("POST", &format!("/containers/{id}/start"), &Value::Null)?;
        let ended = self.call("POST", &format!("/containers/{id}/wait"), &Value::Null)?;
        ensure!(ended["StatusCode"] == 0, "{ended}");
        self.call("DELETE", &format!("/containers/{id}"), &Value::Null).map(drop)
    }
}

/// Runs `true` in a container and reads its output to the end. As with other clients, the output
/// comes over a connection of its own, and all else over the one that is kept.
pub fn exec(kept: &mut Api, place: &Place, container: &str) -> Result<()> {
    let wanted = json!({ "Cmd": ["true"], "AttachStdout": true, "AttachStderr": true });
    let made = kept.call("POST", &format!("/containers/{container}/exec"), &wanted)?;
    let id = made["Id"].as_str().context("no id")?;
    let mut stream = Api::connect(place)?;
    stream.call("POST", &format!("/exec/{id}/start"), &json!({ "Detach": false }))?;
    let ended = kept.call("GET", &format!("/exec/{id}/json"), &Value::Null)?;
    ensure!(ended["ExitCode"] == 0, "{ended}");
    Ok(())
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Api")
    }
}
