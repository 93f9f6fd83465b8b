//! Is this certificate still good for what it is for?

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::time::ASN1Time;

use crate::Identity;

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

/// Checks a leaf against the CA that should have signed it.
pub fn check(
    identity: &Identity,
    authority: &str,
    purpose: Purpose<'_>,
    now: SystemTime,
) -> Result<Validity, Problem> {
    let authority = read(authority).ok_or(Problem::UnreadableAuthority)?;
    let authority = authority.parse_x509().map_err(|_| Problem::UnreadableAuthority)?;
    let leaf = read(&identity.certificate).ok_or(Problem::Unreadable)?;
    let leaf = leaf.parse_x509().map_err(|_| Problem::Unreadable)?;

    let key = rcgen::KeyPair::from_pem(&identity.private_key).map_err(|_| Problem::KeyMismatch)?;
    if leaf.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
        return Err(Problem::KeyMismatch);
    }
    if leaf.issuer() != authority.subject()
        || leaf.verify_signature(Some(authority.public_key())).is_err()
    {
        return Err(Problem::ForeignAuthority);
    }
    alive(&authority, now)?;
    let validity = alive(&leaf, now)?;
    fits(&leaf, purpose)?;
    Ok(validity)
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

fn read(pem: &str) -> Option<Pem> {
    x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok().map(|(_, pem)| pem)
}

fn alive(certificate: &X509Certificate<'_>, now: SystemTime) -> Result<Validity, Problem> {
    let validity = Validity {
        not_before: time(certificate.validity().not_before),
        not_after: time(certificate.validity().not_after),
    };
    if now < validity.not_before {
        Err(Problem::NotYetValid)
    } else if now >= validity.not_after {
        Err(Problem::Expired)
    } else {
        Ok(validity)
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
