//! One connection: HTTP/1.1 with upgrades over any byte stream, each request in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::HttpError;
use crate::extract::{Call, RequestBody};
use crate::reply::Body;
use crate::rights::Rights;
use crate::{headers, routes, version};

/// How long a client may take over the head of a request. The same clock runs while a connection
/// that is kept alive is idle, so it is generous: closing those early makes clients race.
const HEAD_TIMEOUT: Duration = Duration::from_secs(300);
/// The largest head of a request (registry credentials travel in headers).
const MAX_HEAD_BYTES: usize = 256 * 1024;

/// What the server says about the program it is part of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerFacts {
    /// The engine's version, `28.5.2`-like.
    pub version: String,
    /// The source's revision, or empty.
    pub git_commit: String,
    /// RFC 3339, or empty.
    pub build_time: String,
    /// What `docker version` shows under "Go version".
    pub toolchain: String,
}

/// Everything that requests are answered from; shared by all connections.
#[derive(Debug)]
pub struct Server {
    pub(crate) engine: Arc<Engine>,
    pub(crate) facts: ServerFacts,
}

impl Server {
    pub fn new(engine: Arc<Engine>, facts: ServerFacts) -> Arc<Self> {
        Arc::new(Self { engine, facts })
    }
}

/// Answers the requests of one client on `io` until it goes or breaks the protocol.
pub async fn serve_connection<I>(io: I, server: Arc<Server>, rights: Rights)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let server = Arc::clone(&server);
        async move { Ok::<_, std::convert::Infallible>(answer(server, rights, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "connection ended early");
    }
}

/// Runs the handler in its own task: a client that goes away does not leave an action half done,
/// and a panic is this request's alone.
async fn answer(
    server: Arc<Server>,
    rights: Rights,
    request: http::Request<Incoming>,
) -> Response<Body> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let job = tokio::spawn(dispatch(Arc::clone(&server), rights, request));
    let mut reply = match job.await {
        Ok(Ok(reply)) => {
            tracing::debug!(%method, path, status = reply.status().as_u16(), "request");
            reply
        }
        Ok(Err(error)) if error.status == StatusCode::INTERNAL_SERVER_ERROR => {
            tracing::error!(%method, path, error = error.message, "request failed");
            error.into_reply()
        }
        Ok(Err(error)) => {
            let status = error.status.as_u16();
            tracing::debug!(%method, path, status, error = error.message, "request refused");
            error.into_reply()
        }
        Err(panic) => {
            tracing::error!(%method, path, %panic, "a handler panicked");
            HttpError::internal("internal error: the request's handler failed").into_reply()
        }
    };
    headers::stamp(&mut reply, &server.facts);
    reply
}

async fn dispatch(
    server: Arc<Server>,
    rights: Rights,
    request: http::Request<Incoming>,
) -> Result<Response<Body>, HttpError> {
    let request = request.map(RequestBody::new);
    let path = request.uri().path().to_owned();
    let (asked, path) = version::split(&path);
    let found = routes::find(request.method(), path);
    rights.check(request.method(), path, &found)?;
    let target = found?;
    let version = version::negotiate(asked)?;
    let call = Call::new(server, version, target.name, request)?;
    (target.handler)(call).await
}
