//! Who gets through to the API, with which rights, and what the others hear.

use std::time::Instant;

use boot::TlsIdentity;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, DnValue, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::*;

type Ca = CertifiedIssuer<'static, KeyPair>;

fn new_ca(name: &str) -> Ca {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(ca: &Ca, usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
    issue_in(ca, usage, &[])
}

fn issue_in(
    ca: &Ca,
    usage: ExtendedKeyUsagePurpose,
    units: &[DnValue],
) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
    params.extended_key_usages = vec![usage];
    for unit in units {
        params.distinguished_name.push(DnType::OrganizationalUnitName, unit.clone());
    }
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, ca).unwrap(), key)
}

fn server_identity(ca: &Ca) -> TlsIdentity {
    let (certificate, key) = issue(ca, ExtendedKeyUsagePurpose::ServerAuth);
    TlsIdentity {
        ca_certificate: ca.pem(),
        certificate: certificate.pem(),
        private_key: key.serialize_pem(),
    }
}

struct Api {
    ca: Ca,
    listener: TcpListener,
    identity: Identity,
}

impl Api {
    async fn new() -> Self {
        let ca = new_ca("machine");
        let identity = Identity::new(&server_identity(&ca)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Api { ca, listener, identity }
    }

    async fn connect(&self) -> (TcpStream, TcpStream) {
        let address = self.listener.local_addr().unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(address), self.listener.accept());
        (client.unwrap(), server.unwrap().0)
    }

    /// Shakes hands with a client, which then reads once, as the server's refusal of a
    /// certificate reaches it only then.
    async fn shake(&self, client_config: ClientConfig) -> (io::Result<()>, io::Result<()>) {
        let (client, server) = self.connect().await;
        let client = async {
            let name = ServerName::try_from("localhost").unwrap();
            let connector = TlsConnector::from(Arc::new(client_config));
            let mut stream = connector.connect(name, client).await?;
            stream.read(&mut [0; 1]).await.map(drop)
        };
        let server = async {
            let mut stream = shake_hands(server, self.identity.acceptor()).await?;
            stream.write_all(b"!").await?;
            stream.shutdown().await
        };
        tokio::join!(client, server)
    }

    /// A connection that stays.
    async fn open(
        &self,
        client_config: ClientConfig,
    ) -> (tokio_rustls::client::TlsStream<TcpStream>, Connection) {
        let (client, server) = self.connect().await;
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(client_config));
        let (client, server) = tokio::join!(
            connector.connect(name, client),
            shake_hands(server, self.identity.acceptor())
        );
        (client.unwrap(), server.unwrap())
    }

    /// What a client whose certificate names these units may do.
    async fn rights(&self, units: &[DnValue]) -> Rights {
        let (certificate, key) = issue_in(&self.ca, ExtendedKeyUsagePurpose::ClientAuth, units);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let chain = vec![certificate.der().clone()];
        let (_client, server) =
            self.open(self.client().with_client_auth_cert(chain, key).unwrap()).await;
        tls::rights(server.get_ref().1)
    }

    fn a_client(&self) -> ClientConfig {
        let (chain, key) = as_client(&self.ca, ExtendedKeyUsagePurpose::ClientAuth);
        self.client().with_client_auth_cert(chain, key).unwrap()
    }

    fn client(&self) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
    }
}

fn as_client(
    ca: &Ca,
    usage: ExtendedKeyUsagePurpose,
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let (certificate, key) = issue(ca, usage);
    (vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

#[tokio::test]
async fn a_client_with_a_certificate_of_the_machine_s_ca_gets_through() {
    let api = Api::new().await;
    let (chain, key) = as_client(&api.ca, ExtendedKeyUsagePurpose::ClientAuth);
    let (client, server) = api.shake(api.client().with_client_auth_cert(chain, key).unwrap()).await;
    server.unwrap();
    client.unwrap();
}

#[tokio::test]
async fn a_client_without_a_certificate_hears_that_it_needs_one() {
    let api = Api::new().await;
    let (client, server) = api.shake(api.client().with_no_client_auth()).await;
    server.unwrap_err();
    assert!(client.unwrap_err().to_string().contains("CertificateRequired"));
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused() {
    let api = Api::new().await;
    let (chain, key) = as_client(&new_ca("other"), ExtendedKeyUsagePurpose::ClientAuth);
    let (client, server) = api.shake(api.client().with_client_auth_cert(chain, key).unwrap()).await;
    server.unwrap_err();
    client.unwrap_err();
}

#[tokio::test]
async fn the_server_s_own_kind_of_certificate_is_no_client_s() {
    let api = Api::new().await;
    let (chain, key) = as_client(&api.ca, ExtendedKeyUsagePurpose::ServerAuth);
    let (client, server) = api.shake(api.client().with_client_auth_cert(chain, key).unwrap()).await;
    server.unwrap_err();
    client.unwrap_err();
}

#[tokio::test]
async fn plain_http_is_answered_and_closed_before_the_handshake_is_given_up() {
    let api = Api::new().await;
    let (mut client, server) = api.connect().await;
    let begun = Instant::now();
    let refused = tokio::spawn(shake_hands(server, api.identity.acceptor()));
    client.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(begun.elapsed() < super::HANDSHAKE);
    assert_eq!(
        answer,
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    );
    drop(client);
    refused.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_certificate_s_unit_decides_what_its_owner_may_do() {
    let api = Api::new().await;
    let text = |text: &str| DnValue::Utf8String(text.to_owned());
    assert_eq!(api.rights(&[]).await, Rights::Full);
    assert_eq!(api.rights(&[text("engineering")]).await, Rights::Full);
    assert_eq!(api.rights(&[text("viewer")]).await, Rights::LookOnly);
    let printable = DnValue::PrintableString("viewer".try_into().unwrap());
    assert_eq!(api.rights(&[printable]).await, Rights::LookOnly);
    // One that cannot be read might be that of a viewer.
    let unreadable = DnValue::BmpString("viewer".try_into().unwrap());
    assert_eq!(api.rights(&[unreadable]).await, Rights::LookOnly);
}

#[tokio::test]
async fn a_new_identity_is_for_new_connections_and_open_ones_go_on() {
    let mut api = Api::new().await;
    let old_client = api.a_client();
    let (mut client, mut server) = api.open(old_client.clone()).await;

    let ca = new_ca("renewed");
    let remembered = std::cell::Cell::new(false);
    let remember = |_: &TlsIdentity| {
        remembered.set(true);
        Ok(())
    };
    api.identity.replace(&server_identity(&ca), remember).unwrap();
    assert!(remembered.get());

    let (old, _) = api.shake(old_client).await;
    old.expect_err("the old CA still vouches for the server, or for clients");
    api.ca = ca;
    let (new, served) = api.shake(api.a_client()).await;
    served.unwrap();
    new.unwrap();

    for (from, to) in [(true, b"a"), (false, b"b")] {
        let mut byte = [0; 1];
        if from {
            client.write_all(to).await.unwrap();
            server.read_exact(&mut byte).await.unwrap();
        } else {
            server.write_all(to).await.unwrap();
            client.read_exact(&mut byte).await.unwrap();
        }
        assert_eq!(&byte, to);
    }
}

#[tokio::test]
async fn an_identity_of_no_use_changes_nothing_and_says_why() {
    let api = Api::new().await;
    let good = server_identity(&api.ca);
    let other = server_identity(&api.ca);
    let refused = |identity: TlsIdentity| {
        let never = |_: &TlsIdentity| panic!("a useless identity is remembered");
        format!("{:#}", api.identity.replace(&identity, never).unwrap_err())
    };
    let mismatch = TlsIdentity { private_key: other.private_key.clone(), ..good.clone() };
    assert!(refused(mismatch).starts_with("the server's certificate and key do not fit"));
    let no_key = TlsIdentity { private_key: "key".to_owned(), ..good.clone() };
    assert!(refused(no_key).starts_with("the server's private key is none"));
    let no_certificate = TlsIdentity { certificate: String::new(), ..good.clone() };
    assert!(refused(no_certificate).starts_with("the server's certificate and key do not fit"));
    let no_ca = TlsIdentity { ca_certificate: String::new(), ..good };
    assert!(refused(no_ca).starts_with("there is no CA certificate"));

    let forgetful = |_: &TlsIdentity| Err(io::Error::other("no room"));
    let error = api.identity.replace(&server_identity(&new_ca("new")), forgetful).unwrap_err();
    assert_eq!(format!("{error:#}"), "the identity cannot be remembered: no room");

    let (client, server) = api.shake(api.a_client()).await;
    server.unwrap();
    client.unwrap();
}
