//! How a registry proves that it is one.

use std::sync::Arc;

use engine::images::reference::Reference;
use engine::ports::{Access, Credentials, Registry, Repository};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::site::{Answer, Site, manifest, options};
use crate::client::HttpRegistry;

/// An acceptor for 127.0.0.1, and the PEM of its CA.
fn acceptor() -> (TlsAcceptor, String) {
    let ca = authority(Vec::new());
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &*ca).unwrap();
    (with(&leaf, &key), ca.pem())
}

fn authority(names: Vec<String>) -> CertificateParams {
    let mut params = CertificateParams::new(names).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params
}

fn with(leaf: &rcgen::Certificate, key: &KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn repository(host: &str, change: impl FnOnce(&mut crate::Options)) -> Box<dyn Repository> {
    let mut options = options();
    // This machine's own registries would not have to prove anything.
    options.registries.insecure_networks.clear();
    change(&mut options);
    let name = Reference::parse(&format!("{host}/x")).unwrap();
    HttpRegistry::new(options).repository(&name, &Credentials::default(), Access::Pull).unwrap()
}

#[tokio::test]
async fn an_unknown_authority_is_refused_unless_it_lies_in_certs_d_or_anything_goes() {
    let (tls, ca) = acceptor();
    let site = Site::start_with(|_| Answer::new(200, manifest(b"{}")), Some(tls)).await;
    let error = repository(&site.host, |_| {}).manifest("1").await.unwrap_err();
    let unknown = format!(
        "Get \"https://{}/v2/\": tls: failed to verify certificate: x509: certificate signed by \
         unknown authority",
        site.host
    );
    assert_eq!(error.to_string(), unknown);
    assert!(site.asked().is_empty());

    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join(&site.host);
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("ca.crt"), ca).unwrap();
    let with_ca = |options: &mut crate::Options| options.certificates = folder.path().into();
    repository(&site.host, with_ca).manifest("1").await.unwrap();

    let host = site.host.clone();
    let insecure = |options: &mut crate::Options| options.registries.insecure_hosts = vec![host];
    repository(&site.host, insecure).manifest("1").await.unwrap();
}

/// As `openssl req -x509` makes them.
#[tokio::test]
async fn a_certificate_that_a_registry_has_signed_itself_is_believed_where_it_lies_in_certs_d() {
    let key = KeyPair::generate().unwrap();
    let own = |name: &str, change: fn(&mut CertificateParams)| {
        let mut params = authority(vec![name.to_owned()]);
        change(&mut params);
        params.self_signed(&key).unwrap()
    };
    let past = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let (good, elsewhere) = (own("127.0.0.1", |_| {}), own("reg.example", |_| {}));
    let another = authority(vec!["127.0.0.1".to_owned()]);
    let another = another.self_signed(&KeyPair::generate().unwrap()).unwrap();
    for (shown, known, why) in [
        (&good, &good, ""),
        (&good, &another, "unknown authority"),
        (&elsewhere, &elsewhere, "not valid for name"),
        (&own("127.0.0.1", past), &good, "has expired or is not yet valid"),
    ] {
        let site = Site::start_with(|_| Answer::new(200, manifest(b"{}")), Some(with(shown, &key)));
        let site = site.await;
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join(&site.host);
        std::fs::create_dir(&place).unwrap();
        std::fs::write(place.join("ca.crt"), known.pem()).unwrap();
        let with_it = |options: &mut crate::Options| options.certificates = folder.path().into();
        let asked = repository(&site.host, with_it).manifest("1").await;
        match asked {
            Ok(_) => assert!(why.is_empty(), "{why}"),
            Err(error) => {
                assert!(!why.is_empty() && error.to_string().contains(why), "{why}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_registry_that_must_be_encrypted_is_not_asked_in_the_open() {
    let site = Site::start(|_| Answer::new(200, manifest(b"{}"))).await;
    let error = repository(&site.host, |_| {}).manifest("1").await.unwrap_err();
    let asked = format!("Get \"https://{}/v2/\": ", site.host);
    let text = format!("{asked}http: server gave HTTP response to HTTPS client");
    assert_eq!(error.to_string(), text);
    assert!(site.asked().is_empty());
}

#[tokio::test]
async fn an_encrypted_registry_leads_to_nothing_that_is_not() {
    let open = Site::start(|_| Answer::new(200, manifest(b"{}"))).await;
    let (tls, _) = acceptor();
    let place = format!("http://{}/", open.host);
    let site = Site::start_with(
        move |seen| match seen.path.as_str() {
            "/v2/x/manifests/realm" => Answer::new(401, "")
                .with("WWW-Authenticate", format!("Bearer realm=\"{place}token\"")),
            _ => Answer::new(302, "").with("Location", place.clone()),
        },
        Some(tls),
    )
    .await;
    for tag in ["realm", "redirect"] {
        let host = site.host.clone();
        let insecure =
            |options: &mut crate::Options| options.registries.insecure_hosts = vec![host];
        let error = repository(&site.host, insecure).manifest(tag).await.unwrap_err();
        assert!(error.to_string().contains("not encrypted"), "{error}");
    }
    assert!(open.asked().is_empty());
}
