//! The port behind which other machines keep images: registries.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;

use crate::error::Result;
use crate::images::ByteStream;
use crate::images::reference::Reference;

/// Speaks to registries. What comes from one is never trusted: documents are bounded, and small
/// ones are checked against their digest before they are returned.
#[async_trait]
pub trait Registry: Send + Sync + 'static {
    /// A repository as this user sees it. Nothing is asked yet.
    fn repository(
        &self,
        name: &Reference,
        credentials: &Credentials,
        access: Access,
    ) -> Result<Box<dyn Repository>>;

    /// Tries a name and password; returns the identity token that can stand for them, or nothing.
    async fn log_in(&self, server: &str, credentials: &Credentials) -> Result<String>;

    /// A file from any web server.
    async fn download(&self, address: &str) -> Result<Download>;

    /// What Docker Hub, or the registry named in the term, finds.
    async fn search(&self, term: &str, limit: u32, credentials: &Credentials)
    -> Result<Vec<Found>>;
}

/// One repository. All its methods may be used at the same time.
#[async_trait]
pub trait Repository: Send + Sync + 'static {
    async fn tags(&self) -> Result<Vec<String>>;

    /// The digest a tag has now, when the registry says it without sending the document.
    async fn digest(&self, tag: &str) -> Result<Option<String>>;

    /// What a tag or a digest stands for.
    async fn manifest(&self, target: &str) -> Result<Manifest>;

    /// Fails when the policy for signatures does not let an image in. `digests` are its manifest's
    /// and those of the indexes that lead to it.
    async fn permit(&self, image: &Reference, digests: &[String]) -> Result<()>;

    /// A small blob, whole and checked.
    async fn document(&self, blob: &Descriptor) -> Result<Bytes>;

    /// A blob as it comes: exactly as long as the descriptor says or an error, resumed where it
    /// breaks, not checked.
    fn blob(&self, blob: &Descriptor, waiting: Waiting) -> ByteStream;

    async fn has_blob(&self, digest: &str) -> Result<bool>;

    /// Takes a blob over from another repository of the same registry, if that can be.
    async fn mount(&self, digest: &str, from: &Reference) -> Result<bool>;

    async fn upload(&self, blob: Outgoing) -> Result<()>;

    /// Writes a manifest under a tag.
    async fn tag(
        &self,
        tag: &str,
        config: &Descriptor,
        layers: &[Descriptor],
    ) -> Result<Descriptor>;
}

/// Is told how many seconds are left until something is tried again.
pub type Waiting = Arc<dyn Fn(u64) + Send + Sync>;

/// What is to be done there; tokens are asked for no more than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Pull,
    Push,
}

/// Who asks. All empty is nobody in particular.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    pub password: String,
    /// Stands for both at the registry's token server.
    pub identity_token: String,
    /// Is sent to the registry as it is.
    pub registry_token: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// What a document says about another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    pub media_type: String,
    /// `sha256:…`, or of another algorithm.
    pub digest: String,
    pub size: u64,
}

/// A manifest or an index, with its own descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub descriptor: Descriptor,
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Image { config: Descriptor, layers: Vec<Descriptor> },
    Index(Vec<IndexEntry>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexEntry {
    pub descriptor: Descriptor,
    pub platform: Option<Platform>,
}

/// For what an image is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    pub variant: String,
    pub os_version: String,
    pub os_features: Vec<String>,
}

/// A blob on its way out. Its digest may be known only when all of it was read.
pub struct Outgoing {
    pub content: ByteStream,
    pub digest: BoxFuture<'static, Result<String>>,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").finish_non_exhaustive()
    }
}

/// A file on its way in.
pub struct Download {
    /// Where it is, without what may be secret in it.
    pub address: String,
    /// Bytes, if the server says so.
    pub length: Option<u64>,
    pub content: ByteStream,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A repository that a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub name: String,
    pub description: String,
    pub stars: i64,
    pub official: bool,
}
