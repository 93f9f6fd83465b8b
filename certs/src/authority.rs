//! The CA and what it issues.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use time::OffsetDateTime;

use crate::{AUTHORITY_LIFETIME, BACKDATED, Error, LEAF_LIFETIME, bundle, check};

/// The organization of everything that is made here.
pub(crate) const ORGANIZATION: &str = "machine";

/// How the names of CAs begin that are made here.
pub(crate) const AUTHORITY_PREFIX: &str = "machine CA ";

/// A certificate and its private key (PKCS#8), both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub certificate: String,
    pub private_key: String,
}

/// Signs certificates.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new CA, named so that two CAs can be told apart.
    pub fn new(now: SystemTime) -> Result<Self, Error> {
        let mark = random()?;
        let name = format!("{AUTHORITY_PREFIX}{:08x}", u32::from_be_bytes(mark));
        let mut params = params(&name, now, AUTHORITY_LIFETIME)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = new_key()?;
        let certificate = params
            .self_signed(&key)
            .map_err(|source| Error::Make { what: "CA certificate", source })?
            .pem();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// Reads a CA that was made before, here or elsewhere. Of several certificates the first is
    /// taken.
    pub fn from_pem(certificate: &str, private_key: &str) -> Result<Self, Error> {
        let first = bundle::split(certificate).into_iter().next();
        let certificate = first.as_deref().unwrap_or_default();
        let key = KeyPair::from_pem(private_key)
            .map_err(|source| Error::Authority { what: "key", source })?;
        match check::public_key(certificate) {
            Some(public) if public == key.public_key_raw() => {}
            Some(_) => return Err(Error::KeyMismatch),
            None => {
                let source = rcgen::Error::CouldNotParseCertificate;
                return Err(Error::Authority { what: "certificate", source });
            }
        }
        let issuer = Issuer::from_ca_cert_pem(certificate, key)
            .map_err(|source| Error::Authority { what: "certificate", source })?;
        Ok(Self { certificate: certificate.to_owned(), issuer })
    }

    /// PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// PKCS#8 PEM.
    pub fn private_key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Certifies a server that is reached by any of `names` (host names or addresses).
    pub fn issue_server(
        &self,
        common_name: &str,
        names: &[String],
        now: SystemTime,
    ) -> Result<Identity, Error> {
        let mut params = params(common_name, now, LEAF_LIFETIME)?;
        params.subject_alt_names = names.iter().map(|name| san(name)).collect::<Result<_, _>>()?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params, new_key()?)
    }

    /// Certifies a client. The `unit` (OU) says which part of a server's abilities it may use;
    /// without one all of them.
    pub fn issue_client(
        &self,
        common_name: &str,
        unit: Option<&str>,
        now: SystemTime,
    ) -> Result<Identity, Error> {
        self.issue(client(common_name, unit, now)?, new_key()?)
    }

    /// Certifies a client that keeps its private key, so that only one file changes.
    pub fn renew_client(
        &self,
        common_name: &str,
        unit: Option<&str>,
        private_key: &str,
        now: SystemTime,
    ) -> Result<Identity, Error> {
        let key = KeyPair::from_pem(private_key)
            .map_err(|source| Error::Make { what: "certificate", source })?;
        let issued = self.issue(client(common_name, unit, now)?, key)?;
        Ok(Identity { private_key: private_key.to_owned(), ..issued })
    }

    fn issue(&self, mut params: CertificateParams, key: KeyPair) -> Result<Identity, Error> {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(|source| Error::Make { what: "certificate", source })?;
        Ok(Identity { certificate: certificate.pem(), private_key: key.serialize_pem() })
    }
}

fn client(
    common_name: &str,
    unit: Option<&str>,
    now: SystemTime,
) -> Result<CertificateParams, Error> {
    let mut params = params(common_name, now, LEAF_LIFETIME)?;
    if let Some(unit) = unit {
        params.distinguished_name.push(DnType::OrganizationalUnitName, unit);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn params(common_name: &str, now: SystemTime, life: Duration) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, ORGANIZATION);
    subject.push(DnType::CommonName, common_name);
    params.distinguished_name = subject;
    // By default it would be derived from the key, and a renewed certificate keeps its key. RFC 5280
    // wants it positive and unique for each issuer.
    let mut serial: [u8; 16] = random()?;
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let begin = now.checked_sub(BACKDATED).ok_or(Error::Time)?;
    params.not_before = date(begin)?;
    params.not_after = date(begin.checked_add(life).ok_or(Error::Time)?)?;
    Ok(params)
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], Error> {
    let mut bytes = [0; LENGTH];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Randomness)?;
    Ok(bytes)
}

fn date(time: SystemTime) -> Result<OffsetDateTime, Error> {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| Error::Time)?.as_secs();
    let seconds = i64::try_from(seconds).map_err(|_| Error::Time)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| Error::Time)
}

fn san(name: &str) -> Result<SanType, Error> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let printable =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte));
    if name.is_empty() || name.len() > 253 || !printable {
        return Err(Error::Name(name.to_owned()));
    }
    name.try_into().map(SanType::DnsName).map_err(|_| Error::Name(name.to_owned()))
}

fn new_key() -> Result<KeyPair, Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
        .map_err(|source| Error::Make { what: "key", source })
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}
