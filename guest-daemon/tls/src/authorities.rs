//! Who may say who a server is.

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};

/// Authorities, and servers that have signed their certificates themselves.
#[derive(Debug)]
pub struct Authorities {
    roots: RootCertStore,
    added: Vec<CertificateDer<'static>>,
}

impl Authorities {
    /// Nobody.
    pub fn none() -> Self {
        Self { roots: RootCertStore::empty(), added: Vec::new() }
    }

    /// Those that everybody believes. They are Mozilla's: the guest has no files of them.
    pub fn usual() -> Self {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Self { roots, added: Vec::new() }
    }

    /// Whoever has this certificate, and whoever it has signed, is believed.
    pub fn add(&mut self, certificate: CertificateDer<'static>) -> Result<(), Error> {
        self.roots.add(certificate.clone())?;
        self.added.push(certificate);
        Ok(())
    }

    pub(crate) fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let signed = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        );
        match signed {
            // What `openssl req -x509` makes, and Docker's manual tells to use. Its dates have been
            // looked at before that.
            Err(error) if is_of_an_authority(&error) => {
                if !self.added.contains(certificate) {
                    return Err(CertificateError::UnknownIssuer.into());
                }
            }
            other => other?,
        }
        verify_server_name(&parsed, name)
    }
}

/// Whether all that is wrong is that a server shows the certificate of an authority.
fn is_of_an_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(why)) = error else { return false };
    why.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
}
