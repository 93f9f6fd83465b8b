//! What a certificate says of itself.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::extensions::GeneralName;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::authority::{AUTHORITY_PREFIX, ORGANIZATION};
use crate::check::{self, Problem, Validity};

/// A certificate, for people to read. Nothing of it is proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    pub common_name: String,
    /// The organizational unit.
    pub unit: Option<String>,
    /// Host names and addresses of a server.
    pub names: Vec<String>,
    pub validity: Validity,
    /// It calls itself a CA that was made by this program.
    pub is_own_authority: bool,
}

impl Description {
    /// Of the first certificate in a PEM text.
    pub fn of(pem: &str) -> Result<Self, Problem> {
        let pem = check::read(pem).ok_or(Problem::Unreadable)?;
        let certificate = pem.parse_x509().map_err(|_| Problem::Unreadable)?;
        let subject = certificate.subject();
        let common_name = first(subject.iter_common_name()).unwrap_or_default();
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
        Ok(Self {
            unit: first(subject.iter_organizational_unit()),
            names: names.iter().filter_map(text).collect(),
            validity: check::validity(&certificate),
            is_own_authority: certificate.is_ca() && is_ours(subject, &common_name),
            common_name,
        })
    }
}

fn is_ours(subject: &X509Name<'_>, common_name: &str) -> bool {
    first(subject.iter_organization()).is_some_and(|name| name == ORGANIZATION)
        && common_name.starts_with(AUTHORITY_PREFIX)
}

fn first<'a>(
    mut attributes: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>,
) -> Option<String> {
    attributes.next()?.as_str().ok().map(str::to_owned)
}

fn text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|bytes| Ipv4Addr::from(bytes).to_string());
            let v6 = <[u8; 16]>::try_from(*bytes).map(|bytes| Ipv6Addr::from(bytes).to_string());
            v4.or(v6).ok()
        }
        _ => None,
    }
}
