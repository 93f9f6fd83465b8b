//! What images show and what is asked of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::stream::BoxStream;

use crate::config::ContainerConfig;

/// Bytes from a client; bounded, never held whole.
pub type ByteStream = BoxStream<'static, std::io::Result<Bytes>>;

#[derive(Clone, Debug, Default)]
pub struct Image {
    /// `sha256:…`
    pub id: String,
    /// `busybox:latest`, familiar form.
    pub repo_tags: Vec<String>,
    pub repo_digests: Vec<String>,
    pub parent: String,
    pub comment: String,
    /// Nanoseconds since 1970; `None` when the image does not say.
    pub created: Option<i128>,
    pub author: String,
    /// Of what it was made with, and the container that it was made from; old images say so.
    pub docker_version: String,
    pub container: String,
    pub architecture: String,
    pub variant: String,
    pub os: String,
    pub os_version: String,
    /// Bytes unpacked.
    pub size: u64,
    pub config: ContainerConfig,
    /// diff ids, bottom first.
    pub layers: Vec<String>,
    /// Where the unpacked layers are, topmost first: for `GraphDriver.Data`.
    pub layer_paths: Vec<std::path::PathBuf>,
    pub history: Vec<History>,
    /// When it was last tagged, nanoseconds since 1970.
    pub last_tagged: Option<i128>,
    /// Containers that use it.
    pub containers: usize,
    /// Bytes of layers that other images stand on, too; `None` when that was not counted.
    pub shared_size: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Nanoseconds since 1970.
    pub created: Option<i128>,
    pub created_by: String,
    pub comment: String,
    pub empty_layer: bool,
    /// Bytes of its layer.
    pub size: u64,
    /// The image that this step ended in; empty when there is none.
    pub id: String,
    /// That image's names.
    pub tags: Vec<String>,
}

/// A line of a progress stream, without its JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// `{"stream": …}`
    Stream(String),
    /// `{"status": …, "id": …}`
    Message { id: String, text: String },
    /// `{"status": …, "progressDetail": {current, total}, "id": …}`
    Status { id: String, status: String, current: u64, total: u64 },
    /// `{"aux": {"Tag": …, "Digest": …, "Size": …}}`
    Pushed { tag: String, digest: String, size: u64 },
    /// `{"errorDetail": …}`; the last one.
    Error(String),
}

/// What `remove` did, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    Untagged(String),
    Deleted(String),
}

#[derive(Clone, Debug, Default)]
pub struct ImportImage {
    /// `name[:tag]`, or empty.
    pub reference: String,
    pub message: String,
    /// Dockerfile instructions (`CMD`, `ENTRYPOINT`, `ENV`, `EXPOSE`, `LABEL`, `ONBUILD`, `USER`,
    /// `VOLUME`, `WORKDIR`, `STOPSIGNAL`, `HEALTHCHECK`).
    pub changes: Vec<String>,
    pub platform: String,
}

#[derive(Clone, Debug, Default)]
pub struct ListImages {
    /// Also intermediate ones.
    pub all: bool,
    pub shared_size: bool,
    pub filters: BTreeMap<String, Vec<String>>,
}
