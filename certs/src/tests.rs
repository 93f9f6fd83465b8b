//! What holds for everything that is issued.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

fn unix(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn serial(identity: &Identity) -> Vec<u8> {
    let der = der(&identity.certificate);
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
    certificate.raw_serial().to_owned()
}

fn roots(authority: &Authority) -> Arc<rustls::RootCertStore> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(der(authority.certificate())).unwrap();
    Arc::new(roots)
}

fn server(authority: &Authority) -> (Identity, Vec<String>) {
    let names = public_names("dev", &["dev.example".to_owned(), "10.0.0.7".to_owned()]);
    (authority.issue_server("dev", &names, now()).unwrap(), names)
}

#[test]
fn a_tls_client_trusts_the_server_under_each_of_its_names_and_no_other() {
    let authority = Authority::new(now()).unwrap();
    let (identity, names) = server(&authority);
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots(&authority), default_provider().into())
            .build()
            .unwrap();
    let trusts = |name: &str, at: SystemTime| {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(&der(&identity.certificate), &[], &name, &[], unix(at)).is_ok()
    };
    for name in &names {
        assert!(trusts(name, now()), "{name}");
    }
    assert!(!trusts("other.example", now()));
    assert!(trusts("dev", now() + 396 * DAY));
    assert!(!trusts("dev", now() + 398 * DAY));
}

#[test]
fn a_tls_server_trusts_clients_of_its_ca_only() {
    let authority = Authority::new(now()).unwrap();
    let other = Authority::new(now()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots(&authority), default_provider().into())
            .build()
            .unwrap();
    let trusts = |certificate: &str| {
        verifier.verify_client_cert(&der(certificate), &[], unix(now())).is_ok()
    };
    assert!(trusts(&authority.issue_client("dev", None, now()).unwrap().certificate));
    assert!(!trusts(&other.issue_client("dev", None, now()).unwrap().certificate));
    assert!(!trusts(&server(&authority).0.certificate));
}

#[test]
fn an_authority_read_from_pem_goes_on_issuing() {
    let made = Authority::new(now()).unwrap();
    let read = Authority::from_pem(made.certificate(), &made.private_key()).unwrap();
    let identity = read.issue_client("dev", None, now()).unwrap();
    assert!(check(&identity, made.certificate(), Purpose::Client, now()).is_ok());
    let other = Authority::new(now()).unwrap();
    assert!(matches!(
        Authority::from_pem(made.certificate(), &other.private_key()),
        Err(Error::KeyMismatch)
    ));
    assert!(Authority::from_pem("rubbish", &made.private_key()).is_err());
}

#[test]
fn a_leaf_is_checked_for_ca_key_time_purpose_and_names() {
    let authority = Authority::new(now()).unwrap();
    let other = Authority::new(now()).unwrap();
    let (identity, names) = server(&authority);
    let ca = authority.certificate();
    let purpose = Purpose::Server { names: &names };
    assert!(check(&identity, ca, purpose, now()).is_ok());

    let problem = |result: Result<Validity, Problem>| result.unwrap_err();
    assert_eq!(
        problem(check(&identity, other.certificate(), purpose, now())),
        Problem::ForeignAuthority
    );
    assert_eq!(problem(check(&identity, ca, purpose, now() + 397 * DAY)), Problem::Expired);
    assert_eq!(problem(check(&identity, ca, purpose, now() - DAY)), Problem::NotYetValid);
    assert_eq!(problem(check(&identity, ca, Purpose::Client, now())), Problem::WrongPurpose);
    let more = ["elsewhere".to_owned()];
    assert_eq!(
        problem(check(&identity, ca, Purpose::Server { names: &more }, now())),
        Problem::NameMissing("elsewhere".into())
    );
    let stranger = authority.issue_client("dev", None, now()).unwrap();
    let mixed = Identity { private_key: stranger.private_key, ..identity };
    assert_eq!(problem(check(&mixed, ca, purpose, now())), Problem::KeyMismatch);
}

#[test]
fn renewal_is_due_when_a_third_of_life_is_left() {
    let authority = Authority::new(now()).unwrap();
    let identity = authority.issue_client("dev", None, now()).unwrap();
    let validity = check(&identity, authority.certificate(), Purpose::Client, now()).unwrap();
    assert!(!validity.renewal_due(now()));
    assert!(!validity.renewal_due(now() + 264 * DAY));
    assert!(validity.renewal_due(now() + 265 * DAY));
    assert!(validity.renewal_due(now() + 500 * DAY));
}

#[test]
fn lives_are_backdated_by_an_hour_and_bounded() {
    let authority = Authority::new(now()).unwrap();
    let identity = authority.issue_client("dev", None, now()).unwrap();
    let validity = check(&identity, authority.certificate(), Purpose::Client, now()).unwrap();
    assert_eq!(validity.not_before, now() - Duration::from_secs(3600));
    assert_eq!(validity.not_after.duration_since(validity.not_before).unwrap(), 397 * DAY);
    assert!(validity.not_after <= now() + 397 * DAY);
}

#[test]
fn names_that_cannot_stand_in_a_certificate_are_refused() {
    let authority = Authority::new(now()).unwrap();
    for name in ["", "has space", "ünïcode", "a/b"] {
        let result = authority.issue_server("dev", &[name.to_owned()], now());
        assert!(matches!(result, Err(Error::Name(_))), "{name}");
    }
}

#[test]
fn ssh_keys_are_ed25519_and_read_back() {
    let key = SshKey::generate("dev").unwrap();
    assert!(key.public_key.starts_with("ssh-ed25519 "), "{}", key.public_key);
    assert!(key.public_key.ends_with(" dev"));
    let read = ssh_key::PrivateKey::from_openssh(&key.private_key).unwrap();
    assert_eq!(read.public_key().to_openssh().unwrap(), key.public_key);
    assert_ne!(SshKey::generate("dev").unwrap(), key);
}

#[test]
fn a_viewers_certificate_says_so_and_is_nothing_else() {
    let authority = Authority::new(now()).unwrap();
    let viewer = authority.issue_client("dev", Some("viewer"), now()).unwrap();
    let said = Description::of(&viewer.certificate).unwrap();
    assert_eq!((said.common_name.as_str(), said.unit.as_deref()), ("dev", Some("viewer")));
    assert!(check(&viewer, authority.certificate(), Purpose::Client, now()).is_ok());
    let server = check(&viewer, authority.certificate(), Purpose::Server { names: &[] }, now());
    assert_eq!(server, Err(Problem::WrongPurpose));
    assert_eq!(check_authority(&viewer.certificate, now()), Err(Problem::WrongPurpose));

    // With its key one can sign, but nobody trusts what was signed.
    let false_authority = Authority::from_pem(&viewer.certificate, &viewer.private_key).unwrap();
    let forged = false_authority.issue_client("dev", None, now()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots(&authority), default_provider().into())
            .build()
            .unwrap();
    let chain = [der(&viewer.certificate)];
    assert!(verifier.verify_client_cert(&der(&forged.certificate), &chain, unix(now())).is_err());
}

#[test]
fn a_client_renewed_keeps_its_key_and_its_unit_is_given_again() {
    let old = Authority::new(now()).unwrap();
    let new = Authority::new(now()).unwrap();
    let first = old.issue_client("dev", None, now()).unwrap();
    let later = now() + 300 * DAY;
    let second = new.renew_client("dev", None, &first.private_key, later).unwrap();
    assert_eq!(second.private_key, first.private_key);
    let validity = check(&second, new.certificate(), Purpose::Client, later).unwrap();
    assert!(!validity.renewal_due(later));
    assert!(new.renew_client("dev", None, "rubbish", later).is_err());
    let again = new.renew_client("dev", None, &first.private_key, later).unwrap();
    assert_ne!(serial(&second), serial(&again), "an issuer gives a serial number once");
}

#[test]
fn each_authority_of_a_bundle_is_trusted_as_long_as_it_lives() {
    let old = Authority::new(now()).unwrap();
    let new = Authority::new(now() + 3000 * DAY).unwrap();
    let both = bundle::join([new.certificate(), old.certificate(), new.certificate(), "rubbish"]);
    assert_eq!(bundle::split(&both).len(), 2);
    let leaf = old.issue_client("dev", None, now()).unwrap();
    assert!(check(&leaf, &both, Purpose::Client, now()).is_ok());
    let foreign = check(&leaf, new.certificate(), Purpose::Client, now());
    assert_eq!(foreign, Err(Problem::ForeignAuthority));
    let none = check(&leaf, "rubbish", Purpose::Client, now());
    assert_eq!(none, Err(Problem::UnreadableAuthority));
    let late = old.issue_client("dev", None, now() + 3600 * DAY).unwrap();
    let ended = check(&late, &both, Purpose::Client, now() + 3700 * DAY);
    assert_eq!(ended, Err(Problem::Expired));
}

#[test]
fn a_certificate_can_be_described() {
    let authority = Authority::new(now()).unwrap();
    let (identity, names) = server(&authority);
    let said = Description::of(&identity.certificate).unwrap();
    assert_eq!(said.names, names);
    assert_eq!((said.common_name.as_str(), said.unit), ("dev", None));
    assert!(!said.is_own_authority);
    assert!(Description::of(authority.certificate()).unwrap().is_own_authority);
    assert_eq!(Description::of("rubbish"), Err(Problem::Unreadable));
    let due = check_authority(authority.certificate(), now()).unwrap();
    assert!(!due.renewal_due(now() + 2400 * DAY) && due.renewal_due(now() + 2450 * DAY));
}

#[test]
fn private_keys_are_not_shown_by_debug() {
    let authority = Authority::new(now()).unwrap();
    let identity = authority.issue_client("dev", None, now()).unwrap();
    let key = SshKey::generate("dev").unwrap();
    assert!(!format!("{authority:?}{identity:?}{key:?}").contains("PRIVATE"));
}
