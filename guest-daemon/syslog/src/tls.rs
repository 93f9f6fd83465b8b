//! TLS to a syslog daemon.

use std::path::Path;
use std::sync::Arc;

use engine::error::{Error, Kind, Result};
use engine::ports::SyslogTls;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{PATIENCE, file};

/// The usual place of the authorities that everybody trusts, for when none is named.
const USUAL_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

pub(crate) async fn wrap(
    stream: TcpStream,
    place: &str,
    options: &SyslogTls,
) -> Result<TlsStream<TcpStream>> {
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(|error| {
        Error::caused(Kind::InvalidArgument, format!("{place} is no host"), error)
    })?;
    let connector = TlsConnector::from(Arc::new(config(options)?));
    let failed = |reason: String| Error::new(Kind::Unavailable, format!("tls: {place}: {reason}"));
    match tokio::time::timeout(PATIENCE, connector.connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("i/o timeout".to_owned())),
    }
}

fn config(options: &SyslogTls) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("TLS is not available", error))?;
    let builder = if options.unverified {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    } else {
        builder.with_root_certificates(roots(&options.ca)?)
    };
    if options.certificate.as_os_str().is_empty() {
        return Ok(builder.with_no_client_auth());
    }
    let key = PrivateKeyDer::from_pem_slice(&file(&options.key)?)
        .map_err(|error| not_usable(&options.key, error))?;
    builder
        .with_client_auth_cert(certificates(&options.certificate)?, key)
        .map_err(|error| not_usable(&options.certificate, error))
}

fn roots(ca: &Path) -> Result<RootCertStore> {
    let path = if ca.as_os_str().is_empty() { Path::new(USUAL_ROOTS) } else { ca };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(path)?);
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(&file(path)?)
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| not_usable(path, error))
}

fn not_usable(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::new(Kind::InvalidArgument, format!("{} cannot be used: {error}", path.display()))
}

/// `syslog-tls-skip-verify`.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
