//! Who may talk to the API: whoever has a certificate of the machine's own CA. Some may only look.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context as _;
use boot::{TlsIdentity, VIEWER_UNIT};
use der::asn1::AnyRef;
use der::{Decode as _, Reader as _, SliceReader, Tag, Tagged as _};
use engine_http::Rights;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use tokio_rustls::TlsAcceptor;
use webpki::EndEntityCert;

/// The attribute of a name that says its unit, 2.5.4.11 in DER.
const ORGANIZATIONAL_UNIT: &[u8] = &[0x55, 0x04, 0x0b];

/// The server's identity and the CA of its clients, which can be replaced while it serves.
pub(crate) struct Identity {
    acceptor: RwLock<TlsAcceptor>,
}

impl Identity {
    pub(crate) fn new(identity: &TlsIdentity) -> anyhow::Result<Self> {
        Ok(Identity { acceptor: RwLock::new(acceptor(identity)?) })
    }

    /// For one new connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For connections that are new from now on; nothing changes if the identity is of no use or
    /// cannot be remembered.
    pub(crate) fn replace(
        &self,
        identity: &TlsIdentity,
        remember: impl FnOnce(&TlsIdentity) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let new = acceptor(identity)?;
        remember(identity).context("the identity cannot be remembered")?;
        *self.acceptor.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }
}

/// TLS 1.2 and 1.3, with a client certificate. Sessions can be resumed with this very acceptor
/// only, so a client of an old CA does not get in by an old session.
fn acceptor(identity: &TlsIdentity) -> anyhow::Result<TlsAcceptor> {
    let provider = engine_tls::provider();
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&identity.ca_certificate)? {
        roots.add(certificate).context("the CA certificate is none")?;
    }
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .context("there is no CA certificate")?;
    let key = PrivateKeyDer::from_pem_slice(identity.private_key.as_bytes())
        .context("the server's private key is none")?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_client_cert_verifier(clients)
        .with_single_cert(certificates(&identity.certificate)?, key)
        .context("the server's certificate and key do not fit")?;
    config.ignore_client_order = engine_tls::is_emulated();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(pem: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .context("a certificate cannot be read")
}

/// What a client that got through may do.
pub(crate) fn rights(connection: &ServerConnection) -> Rights {
    match connection.peer_certificates() {
        Some([certificate, ..]) => rights_of(certificate),
        _ => Rights::LookOnly,
    }
}

/// What cannot be understood gives no rights.
fn rights_of(certificate: &CertificateDer<'_>) -> Rights {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Rights::LookOnly };
    match is_viewer(certificate.subject()) {
        Ok(false) => Rights::Full,
        Ok(true) | Err(_) => Rights::LookOnly,
    }
}

/// Whether one of the subject's units is that of viewers, or might be. A subject is a sequence of
/// sets of pairs: the kind of an attribute and its text.
fn is_viewer(subject: &[u8]) -> der::Result<bool> {
    for set in values(subject)? {
        for pair in values(set.value())? {
            if let [kind, text] = values(pair.value())?[..]
                && kind.value() == ORGANIZATIONAL_UNIT
                && may_say(text, VIEWER_UNIT)
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn may_say(text: AnyRef<'_>, word: &str) -> bool {
    match text.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => text.value() == word.as_bytes(),
        // Written in a way that nobody uses for plain words.
        _ => true,
    }
}

/// The values that a sequence or set contains.
fn values(content: &[u8]) -> der::Result<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(content)?;
    let mut values = Vec::new();
    while !reader.is_finished() {
        values.push(AnyRef::decode(&mut reader)?);
    }
    Ok(values)
}
