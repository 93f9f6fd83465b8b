//! Is this certificate still good for what it is for?

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::time::ASN1Time;

use crate::{Identity, bundle};

/// What a certificate is for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// A server that must be trusted under each of these names.
    Server {
        names: &'a [String],
    },
    Client,
}

/// The life of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub not_before: SystemTime,
    pub not_after: SystemTime,
}

/// Why a certificate is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("the certificate cannot be read")]
    Unreadable,
    #[error("the CA certificate cannot be read")]
    UnreadableAuthority,
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    #[error("the certificate was not signed by this CA")]
    ForeignAuthority,
    #[error("the certificate has expired")]
    Expired,
    #[error("the certificate is not valid yet")]
    NotYetValid,
    #[error("the certificate is not for this purpose")]
    WrongPurpose,
    #[error("the certificate does not name {0}")]
    NameMissing(String),
}

/// Checks a leaf against the CA that should have signed it, or against several, one of which
/// should have.
pub fn check(
    identity: &Identity,
    authorities: &str,
    purpose: Purpose<'_>,
    now: SystemTime,
) -> Result<Validity, Problem> {
    let leaf = read(&identity.certificate).ok_or(Problem::Unreadable)?;
    let leaf = leaf.parse_x509().map_err(|_| Problem::Unreadable)?;
    let key = rcgen::KeyPair::from_pem(&identity.private_key).map_err(|_| Problem::KeyMismatch)?;
    if leaf.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
        return Err(Problem::KeyMismatch);
    }
    signer_is_alive(&leaf, authorities, now)?;
    let validity = alive(&leaf, now)?;
    fits(&leaf, purpose)?;
    Ok(validity)
}

/// Checks whether a CA's certificate is good for signing and trusting now.
pub fn check_authority(certificate: &str, now: SystemTime) -> Result<Validity, Problem> {
    let pem = read(certificate).ok_or(Problem::UnreadableAuthority)?;
    let authority = pem.parse_x509().map_err(|_| Problem::UnreadableAuthority)?;
    let signs =
        authority.key_usage().ok().flatten().is_none_or(|usage| usage.value.key_cert_sign());
    if authority.is_ca() && signs { alive(&authority, now) } else { Err(Problem::WrongPurpose) }
}

fn signer_is_alive(
    leaf: &X509Certificate<'_>,
    authorities: &str,
    now: SystemTime,
) -> Result<(), Problem> {
    let mut problem = Problem::UnreadableAuthority;
    for authority in bundle::split(authorities) {
        let Some(pem) = read(&authority) else { continue };
        let Ok(authority) = pem.parse_x509() else { continue };
        if leaf.issuer() == authority.subject()
            && leaf.verify_signature(Some(authority.public_key())).is_ok()
        {
            return alive(&authority, now).map(drop);
        }
        problem = Problem::ForeignAuthority;
    }
    Err(problem)
}

/// The names every machine's server certificate carries, and the user's own ones.
pub fn public_names(machine: &str, extra: &[String]) -> Vec<String> {
    let mut names: Vec<String> =
        ["localhost", "127.0.0.1", "::1", machine].map(str::to_owned).into();
    for name in extra {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

impl Validity {
    /// Whether only a third of the life is left.
    pub fn renewal_due(&self, now: SystemTime) -> bool {
        let whole = self.not_after.duration_since(self.not_before).unwrap_or_default();
        let left = self.not_after.duration_since(now).unwrap_or_default();
        left <= whole / 3
    }
}

/// The raw public key of a certificate in PEM form.
pub(crate) fn public_key(certificate: &str) -> Option<Vec<u8>> {
    let pem = read(certificate)?;
    let certificate = pem.parse_x509().ok()?;
    Some(certificate.public_key().subject_public_key.data.to_vec())
}

pub(crate) fn read(pem: &str) -> Option<Pem> {
    x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok().map(|(_, pem)| pem)
}

fn alive(certificate: &X509Certificate<'_>, now: SystemTime) -> Result<Validity, Problem> {
    let validity = validity(certificate);
    if now < validity.not_before {
        Err(Problem::NotYetValid)
    } else if now >= validity.not_after {
        Err(Problem::Expired)
    } else {
        Ok(validity)
    }
}

pub(crate) fn validity(certificate: &X509Certificate<'_>) -> Validity {
    Validity {
        not_before: time(certificate.validity().not_before),
        not_after: time(certificate.validity().not_after),
    }
}

fn time(time: ASN1Time) -> SystemTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn fits(leaf: &X509Certificate<'_>, purpose: Purpose<'_>) -> Result<(), Problem> {
    let usage = leaf.extended_key_usage().ok().flatten().ok_or(Problem::WrongPurpose)?.value;
    match purpose {
        Purpose::Client if usage.client_auth => Ok(()),
        Purpose::Server { names } if usage.server_auth => {
            let named = leaf.subject_alternative_name().ok().flatten();
            let named = named.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
            match names.iter().find(|name| !named.iter().any(|entry| matches(entry, name))) {
                Some(missing) => Err(Problem::NameMissing(missing.clone())),
                None => Ok(()),
            }
        }
        Purpose::Client | Purpose::Server { .. } => Err(Problem::WrongPurpose),
    }
}

fn matches(entry: &GeneralName<'_>, name: &str) -> bool {
    match (entry, name.parse::<IpAddr>()) {
        (GeneralName::IPAddress(bytes), Ok(IpAddr::V4(address))) => *bytes == address.octets(),
        (GeneralName::IPAddress(bytes), Ok(IpAddr::V6(address))) => *bytes == address.octets(),
        (GeneralName::DNSName(entry), Err(_)) => entry.eq_ignore_ascii_case(name),
        _ => false,
    }
}
