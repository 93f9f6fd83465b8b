//! Who gets through to the API, and what the others hear.

use std::time::Instant;

use boot::TlsIdentity;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::*;

type Ca = CertifiedIssuer<'static, KeyPair>;

fn new_ca(name: &str) -> Ca {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(ca: &Ca, usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, ca).unwrap(), key)
}

struct Api {
    ca: Ca,
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Api {
    async fn new() -> Self {
        let ca = new_ca("machine");
        let (certificate, key) = issue(&ca, ExtendedKeyUsagePurpose::ServerAuth);
        let identity = TlsIdentity {
            ca_certificate: ca.pem(),
            certificate: certificate.pem(),
            private_key: key.serialize_pem(),
        };
        let acceptor = crate::tls::acceptor(&identity).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Api { ca, listener, acceptor }
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
            let mut stream = shake_hands(server, self.acceptor.clone()).await?;
            stream.write_all(b"!").await?;
            stream.shutdown().await
        };
        tokio::join!(client, server)
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
async fn plain_http_is_answered_within_a_second_and_closed() {
    let api = Api::new().await;
    let (mut client, server) = api.connect().await;
    let begun = Instant::now();
    let refused = tokio::spawn(shake_hands(server, api.acceptor.clone()));
    client.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(
        answer,
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    );
    drop(client);
    refused.await.unwrap().unwrap_err();
}
