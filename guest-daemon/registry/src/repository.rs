//! One repository: finds the place that has it and asks there.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use engine::images::ByteStream;
use engine::images::reference::Reference;
use engine::ports::{Access, Credentials, Descriptor, Manifest, Outgoing, Repository, Waiting};
use engine::{Error, Result};
use futures::future::BoxFuture;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LINK};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::client::Options;
use crate::documents::{LARGEST_DOCUMENT, digest_of, is_digest, is_of, read_bounded};
use crate::endpoint::Endpoint;
use crate::endpoints::{self, Wanted};
use crate::failure::{Asked, Failure};
use crate::transport::Call;
use crate::{blob, documents, manifest, signatures, upload};

/// More tags a registry does not have, or does not mean well.
const MOST_TAGS: usize = 100_000;
const DIGEST: &str = "Docker-Content-Digest";

#[derive(Debug)]
pub(crate) struct HttpRepository {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: Arc<Options>,
    name: Reference,
    credentials: Credentials,
    access: Access,
    endpoints: OnceCell<Vec<Arc<Endpoint>>>,
    /// The one that answered.
    current: Mutex<Option<Arc<Endpoint>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tags {
    tags: Option<Vec<String>>,
}

impl HttpRepository {
    pub(crate) fn new(
        options: Arc<Options>,
        name: Reference,
        credentials: Credentials,
        access: Access,
    ) -> Self {
        let (endpoints, current) = (OnceCell::new(), Mutex::new(None));
        Self { inner: Arc::new(Inner { options, name, credentials, access, endpoints, current }) }
    }
}

impl Inner {
    /// `PATH/…` for [`Endpoint::at`].
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("{}/{rest}", self.name.path())
    }

    async fn endpoints(&self) -> Result<&Vec<Arc<Endpoint>>> {
        let actions = match self.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let scope = format!("repository:{}:{actions}", self.name.path());
        let wanted = Wanted {
            domain: self.name.domain(),
            access: self.access,
            credentials: &self.credentials,
            scope: &scope,
        };
        let find = async {
            let found = endpoints::find(&self.options, &wanted).await?;
            Ok::<_, Error>(found.into_iter().map(Arc::new).collect())
        };
        self.endpoints.get_or_try_init(|| find).await
    }

    /// Asks one place after the other until one answers; that one is asked from then on.
    pub(crate) async fn first<T>(
        &self,
        ask: impl Fn(Arc<Endpoint>) -> BoxFuture<'static, Asked<T>>,
    ) -> Result<T> {
        let mut last = None;
        for endpoint in self.endpoints().await? {
            match ask(Arc::clone(endpoint)).await {
                Ok(answer) => {
                    let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
                    *current = Some(Arc::clone(endpoint));
                    return Ok(answer);
                }
                // Whoever answers over TLS is not asked in the open.
                Err(failure) if !endpoint.mirror && !matches!(failure, Failure::Unreachable(_)) => {
                    return Err(failure.into());
                }
                Err(failure) => {
                    tracing::info!(url = %endpoint.url, ?failure, "a registry does not answer");
                    last = Some(failure.at_first(&endpoint.at("")?));
                }
            }
        }
        let nowhere = || Failure::wrong(format!("no endpoints found for {}", self.name.familiar()));
        Err(last.unwrap_or_else(nowhere).into())
    }

    /// The place that answered, found first if need be.
    pub(crate) async fn current(&self) -> Result<Arc<Endpoint>> {
        let known = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(endpoint) = known {
            return Ok(endpoint);
        }
        self.first(|endpoint| {
            Box::pin(async move {
                endpoint.ping().await?;
                Ok(endpoint)
            })
        })
        .await
    }

    /// The registry itself, when it was a mirror that failed.
    pub(crate) async fn beyond(&self, failed: &Endpoint) -> Option<Arc<Endpoint>> {
        let all = self.endpoints().await.ok()?;
        let origin = all.iter().find(|endpoint| !endpoint.mirror && failed.mirror)?;
        Some(Arc::clone(origin))
    }
}

#[async_trait]
impl Repository for HttpRepository {
    async fn tags(&self) -> Result<Vec<String>> {
        let path = self.inner.path("tags/list");
        self.inner
            .first(|endpoint| {
                let path = path.clone();
                Box::pin(async move { all_tags(&endpoint, &path).await })
            })
            .await
    }

    async fn digest(&self, tag: &str) -> Result<Option<String>> {
        let path = self.inner.path(&format!("manifests/{tag}"));
        self.inner
            .first(|endpoint| {
                let path = path.clone();
                Box::pin(async move {
                    let url = endpoint.at(&path)?;
                    let asked = endpoint.ask(Method::HEAD, &url, &accept_manifests()).await;
                    // Why not is told when the document itself is asked for.
                    Ok(asked.ok().and_then(|response| said_digest(&response)))
                })
            })
            .await
    }

    async fn manifest(&self, target: &str) -> Result<Manifest> {
        let path = self.inner.path(&format!("manifests/{target}"));
        let mut name = self.inner.name.clone();
        (name.tag, name.digest) = if is_digest(target) {
            (None, Some(target.to_owned()))
        } else {
            (Some(target.to_owned()), None)
        };
        let name = name.canonical();
        self.inner
            .first(|endpoint| {
                let (path, name, target) = (path.clone(), name.clone(), target.to_owned());
                Box::pin(async move {
                    let (content_type, bytes) = document(&endpoint, &path, &target).await?;
                    // It is known by the one it was asked for by.
                    let digest = match is_digest(&target) {
                        true => target,
                        false => digest_of(&bytes),
                    };
                    let size = bytes.len() as u64;
                    let (media_type, content) =
                        manifest::parse(&content_type, &bytes, &name).map_err(Failure::Wrong)?;
                    Ok(Manifest { descriptor: Descriptor { media_type, digest, size }, content })
                })
            })
            .await
    }

    async fn permit(&self, image: &Reference, digests: &[String]) -> Result<()> {
        let policy = &self.inner.options.registries.signature_policy;
        if policy.is_empty() {
            return Ok(());
        }
        signatures::check(&self.inner, Path::new(policy), image, digests).await
    }

    async fn document(&self, blob: &Descriptor) -> Result<Bytes> {
        let endpoint = self.inner.current().await?;
        let path = self.inner.path(&format!("blobs/{}", blob.digest));
        let first = small_blob(&endpoint, &path, &blob.digest).await;
        match (first, self.inner.beyond(&endpoint).await) {
            (Err(_), Some(origin)) => Ok(small_blob(&origin, &path, &blob.digest).await?),
            (result, _) => Ok(result?),
        }
    }

    fn blob(&self, blob: &Descriptor, waiting: Waiting) -> ByteStream {
        blob::stream(Arc::clone(&self.inner), blob.clone(), waiting)
    }

    async fn has_blob(&self, digest: &str) -> Result<bool> {
        let endpoint = self.inner.current().await?;
        let url = endpoint.at(&self.inner.path(&format!("blobs/{digest}")))?;
        match endpoint.ask_patiently(Method::HEAD, &url, &HeaderMap::new()).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.is_missing() => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn mount(&self, digest: &str, from: &Reference) -> Result<bool> {
        let endpoint = self.inner.current().await?;
        Ok(upload::mount(&endpoint, &self.inner.path("blobs/uploads/"), digest, from).await?)
    }

    async fn upload(&self, blob: Outgoing) -> Result<()> {
        let endpoint = self.inner.current().await?;
        upload::upload(&endpoint, &self.inner.path("blobs/uploads/"), blob).await
    }

    async fn tag(
        &self,
        tag: &str,
        config: &Descriptor,
        layers: &[Descriptor],
    ) -> Result<Descriptor> {
        let (media_type, bytes) = manifest::write(config, layers)?;
        let endpoint = self.inner.current().await?;
        let url = endpoint.at(&self.inner.path(&format!("manifests/{tag}")))?;
        let mut call = Call::new(Method::PUT, url);
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        let (digest, size) = (digest_of(&bytes), bytes.len() as u64);
        call.body = Some(bytes.into());
        endpoint.change(call, None).await?;
        Ok(Descriptor { media_type: media_type.to_owned(), digest, size })
    }
}

fn accept_manifests() -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::try_from(manifest::accepted()) {
        headers.insert(ACCEPT, value);
    }
    headers
}

fn said_digest(response: &Response) -> Option<String> {
    let said = response.headers().get(DIGEST)?.to_str().ok()?;
    is_digest(said).then(|| said.to_owned())
}

/// A manifest's media type and bytes. Asked for by digest, it has that digest.
pub(crate) async fn document(
    endpoint: &Endpoint,
    path: &str,
    target: &str,
) -> Asked<(String, Bytes)> {
    let url = endpoint.at(path)?;
    let response = endpoint.ask_patiently(Method::GET, &url, &accept_manifests()).await?;
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().to_owned();
    let bytes = read_bounded(response, LARGEST_DOCUMENT).await?;
    if is_digest(target) && !is_of(target, &bytes) {
        return Err(Failure::wrong(format!("manifest verification failed for digest {target}")));
    }
    Ok((kind, bytes))
}

pub(crate) async fn small_blob(endpoint: &Endpoint, path: &str, digest: &str) -> Asked<Bytes> {
    let url = endpoint.at(path)?;
    let response = endpoint.ask_patiently(Method::GET, &url, &HeaderMap::new()).await?;
    let bytes = read_bounded(response, LARGEST_DOCUMENT).await?;
    if is_of(digest, &bytes) {
        Ok(bytes)
    } else {
        Err(Failure::wrong(format!("image config verification failed for digest {digest}")))
    }
}

async fn all_tags(endpoint: &Endpoint, path: &str) -> Asked<Vec<String>> {
    let mut all = Vec::new();
    let mut next = Some(endpoint.at(path)?);
    while let Some(url) = next {
        let response = endpoint.ask_patiently(Method::GET, &url, &HeaderMap::new()).await?;
        next = next_page(&response, &url);
        let body = read_bounded(response, LARGEST_DOCUMENT).await?;
        let page: Tags = documents::parse(&body)
            .map_err(|error| Failure::wrong(format!("the list of tags is invalid: {error}")))?;
        let page = page.tags.unwrap_or_default();
        if page.is_empty() {
            break;
        }
        all.extend(page);
        if all.len() > MOST_TAGS {
            return Err(Failure::wrong(format!("there are more than {MOST_TAGS} tags")));
        }
    }
    Ok(all)
}

/// `Link: </v2/x/tags/list?last=b&n=2>; rel="next"`, on the same registry.
fn next_page(response: &Response, url: &Url) -> Option<Url> {
    if response.status() != StatusCode::OK {
        return None;
    }
    let header = response.headers().get(LINK)?.to_str().ok()?;
    let (target, parameters) = header.strip_prefix('<')?.split_once('>')?;
    let next = url.join(target).ok()?;
    let is_next = parameters.contains("rel=\"next\"") || parameters.contains("rel=next");
    (is_next && next.origin() == url.origin()).then_some(next)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Wrong(error)
    }
}
