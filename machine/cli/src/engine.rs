//! Asks a machine's engine for its version: one TLS request, bounded in time and size.

use std::sync::Arc;
use std::time::Duration;

use machine_lifecycle::{ADDRESS, Connection};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ANSWER_LIMIT: u64 = 64 * 1024;

/// Why an engine did not say its version.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    #[error("a certificate could not be read")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("a certificate cannot be used")]
    Tls(#[from] rustls::Error),
    #[error("Cannot connect to the docker engine endpoint")]
    Io(#[from] std::io::Error),
    #[error("no answer from the docker engine endpoint in time")]
    Timeout,
    #[error("the answer of the docker engine endpoint was not understood")]
    Answer,
}

/// The engine's version, such as `28.5.2`.
pub(crate) async fn version(
    connection: &Connection,
    limit: Duration,
) -> Result<String, EngineError> {
    tokio::time::timeout(limit, ask(connection)).await.map_err(|_| EngineError::Timeout)?
}

async fn ask(connection: &Connection) -> Result<String, EngineError> {
    let connector = tokio_rustls::TlsConnector::from(Arc::new(configuration(connection)?));
    let host = connection.host.trim_matches(['[', ']']);
    let name = if host == ADDRESS { "localhost" } else { host };
    let name = ServerName::try_from(name.to_owned()).map_err(|_| EngineError::Answer)?;
    let socket = TcpStream::connect((host, connection.port)).await?;
    let mut stream = connector.connect(name, socket).await?;
    // HTTP/1.0, so that the body comes in one piece and the connection is closed after it.
    stream.write_all(b"GET /version HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
    let mut answer = Vec::new();
    match stream.take(ANSWER_LIMIT).read_to_end(&mut answer).await {
        Ok(_) => {}
        // Some servers close without saying so in TLS; what arrived is complete or not JSON.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
        Err(error) => return Err(error.into()),
    }
    parse(&answer).ok_or(EngineError::Answer)
}

fn parse(answer: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.lines().next()?.split(' ').nth(1)?;
    let json: serde_json::Value = serde_json::from_str(body).ok()?;
    let version = json.get("Version")?.as_str()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+~-".contains(c);
    (status == "200" && version.chars().all(plain)).then(|| version.to_owned())
}

fn configuration(connection: &Connection) -> Result<rustls::ClientConfig, EngineError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&connection.ca_certificate)?)?;
    let chain = vec![CertificateDer::from_pem_file(&connection.client_certificate)?];
    let key = PrivateKeyDer::from_pem_file(&connection.client_key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_version_is_taken_from_a_good_answer_only() {
        let good =
            b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"Version\":\"28.5.2\"}";
        assert_eq!(parse(good).as_deref(), Some("28.5.2"));
        assert_eq!(parse(b"HTTP/1.0 500 Oh\r\n\r\n{\"Version\":\"1\"}"), None);
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\n\r\n{\"Version\":\"\\u001b[2J\"}"), None);
        assert_eq!(parse(b"rubbish"), None);
    }
}
