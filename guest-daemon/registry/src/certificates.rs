//! How a registry proves that it is one: by a CA everybody knows, by one that lies in
//! `certs.d/HOST[:PORT]/`, or not at all where it may be insecure.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::Error;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

const LARGEST_FILE: u64 = 1 << 20;

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

pub(crate) fn client_config(
    folder: &Path,
    host: &str,
    insecure: bool,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("cannot set TLS up", error))?;
    if insecure {
        let anybody = Arc::new(Anybody(provider));
        let builder = builder.dangerous().with_custom_certificate_verifier(anybody);
        return Ok(builder.with_no_client_auth());
    }
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let identity = read_folder(&folder.join(host), &mut roots)?;
    let builder = builder.with_root_certificates(roots);
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| Error::invalid(format!("the client certificate for {host}: {error}"))),
    }
}

/// Adds the CAs (`*.crt`) and returns the client's certificate (`*.cert` with its `*.key`).
fn read_folder(folder: &Path, roots: &mut RootCertStore) -> Result<Option<Identity>, Error> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(None) };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let mut identity = None;
    for file in &files {
        let with = |extension: &str| file.with_extension(extension);
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => {
                for certificate in chain(file)? {
                    roots.add(certificate).map_err(|error| unreadable(file, &error))?;
                }
            }
            Some("cert") if !files.contains(&with("key")) => {
                return Err(Error::invalid(format!(
                    "missing key {} for client certificate {}. CA certificates must use the \
                     extension .crt",
                    name(&with("key")),
                    name(file)
                )));
            }
            Some("key") if !files.contains(&with("cert")) => {
                return Err(Error::invalid(format!(
                    "missing client certificate {} for key {}",
                    name(&with("cert")),
                    name(file)
                )));
            }
            Some("cert") => {
                let key = PrivateKeyDer::from_pem_slice(&read(&with("key"))?)
                    .map_err(|error| unreadable(&with("key"), &error))?;
                identity = Some((chain(file)?, key));
            }
            _ => {}
        }
    }
    Ok(identity)
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_slice_iter(&read(file)?)
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(file, &error))
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(LARGEST_FILE).read_to_end(&mut content))
        .map_err(|error| unreadable(file, &error))?;
    Ok(content)
}

fn unreadable(file: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::invalid(format!("cannot use {}: {error}", file.display()))
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Takes every certificate. What is signed with it must still fit.
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
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
