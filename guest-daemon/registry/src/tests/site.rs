//! A web site in this process that answers as a test says.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use engine::images::reference::Reference;
use engine::ports::{Access, Credentials, Descriptor, Registry, Repository};
use futures::{StreamExt, TryStreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use crate::client::{HttpRegistry, Options};
use crate::documents::digest_of;

/// A request that came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) authorization: String,
    pub(crate) range: String,
    pub(crate) body: Bytes,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// The connection ends after so many bytes.
    cut: Option<usize>,
    /// The body is repeated for ever.
    endless: bool,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), cut: None, endless: false }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn json(self) -> Self {
        self.with("Content-Type", "application/json")
    }

    pub(crate) fn cut(self, after: usize) -> Self {
        Self { cut: Some(after), ..self }
    }

    pub(crate) fn endless(self) -> Self {
        Self { endless: true, ..self }
    }
}

type Rule = Arc<dyn Fn(&Seen) -> Answer + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Site {
    /// `127.0.0.1:PORT`
    pub(crate) host: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    rule: Rule,
}

impl Site {
    pub(crate) async fn start(rule: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_with(rule, None).await
    }

    /// With TLS if there is an acceptor.
    pub(crate) async fn start_with(
        rule: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let site = Self { host, seen: Arc::default(), rule: Arc::new(rule) };
        let serving = site.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (site, tls) = (serving.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => site.serve(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                site.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        site
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(move |request| {
            let site = self.clone();
            async move { Ok::<_, Infallible>(site.answer(request).await) }
        });
        // A connection that breaks is what some tests are about.
        drop(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await,
        );
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Response<UnsyncBoxBody<Bytes, std::io::Error>> {
        let (head, body) = request.into_parts();
        let header = |name: &str| {
            head.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
        };
        let seen = Seen {
            method: head.method.to_string(),
            path: head.uri.to_string(),
            host: header("host"),
            authorization: header("authorization"),
            range: header("range"),
            body: body.collect().await.map(|body| body.to_bytes()).unwrap_or_default(),
        };
        let answer = (self.rule)(&seen);
        self.seen.lock().unwrap().push(seen);
        respond(answer)
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// `METHOD PATH` of the requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }

    /// The repository `x` there.
    pub(crate) fn repository(
        &self,
        credentials: &Credentials,
        access: Access,
    ) -> Box<dyn Repository> {
        let name = Reference::parse(&format!("{}/x", self.host)).unwrap();
        self.registry().repository(&name, credentials, access).unwrap()
    }

    pub(crate) fn registry(&self) -> HttpRegistry {
        HttpRegistry::new(options())
    }

    pub(crate) fn anonymous(&self) -> Box<dyn Repository> {
        self.repository(&Credentials::default(), Access::Pull)
    }
}

fn respond(answer: Answer) -> Response<UnsyncBoxBody<Bytes, std::io::Error>> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let length = answer.body.len();
    let mut body = answer.body;
    if let Some(cut) = answer.cut {
        body.truncate(cut);
    }
    if !answer.endless {
        response = response.header("Content-Length", length);
    }
    let parts: Vec<_> =
        body.chunks(1000).map(|part| Ok(Frame::data(Bytes::copy_from_slice(part)))).collect();
    let stream = if answer.endless {
        futures::stream::repeat(body).map(|part| Ok(Frame::data(part.into()))).boxed()
    } else if answer.cut.is_some() {
        let end = futures::stream::iter([Err(std::io::ErrorKind::ConnectionReset.into())]);
        futures::stream::iter(parts).chain(end).boxed()
    } else {
        futures::stream::iter(parts).boxed()
    };
    response.body(StreamBody::new(stream).boxed_unsync()).unwrap()
}

/// With two attempts, so that giving up does not take long.
pub(crate) fn options() -> Options {
    Options { attempts: 2, ..Options::new("test".to_owned(), "/nonexistent".into()).unwrap() }
}

pub(crate) fn user() -> Credentials {
    Credentials {
        username: "joe".to_owned(),
        password: "secret".to_owned(),
        ..Credentials::default()
    }
}

/// `Basic` for [`user`].
pub(crate) const BASIC: &str = "Basic am9lOnNlY3JldA==";

pub(crate) fn descriptor(content: &[u8]) -> Descriptor {
    Descriptor { digest: digest_of(content), size: content.len() as u64, ..Descriptor::default() }
}

/// A manifest with this configuration and no layers.
pub(crate) fn manifest(config: &[u8]) -> String {
    let Descriptor { digest, size, .. } = descriptor(config);
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "config":{{"mediaType":"application/vnd.oci.image.config.v1+json",
            "digest":"{digest}","size":{size}}},"layers":[]}}"#
    )
}

/// Reads a blob to its end.
pub(crate) async fn read(
    repository: &dyn Repository,
    blob: &Descriptor,
) -> Result<Vec<u8>, String> {
    let waiting = std::sync::Arc::new(|_| {});
    let parts: Vec<Bytes> =
        repository.blob(blob, waiting).try_collect().await.map_err(|error| error.to_string())?;
    Ok(parts.concat())
}
