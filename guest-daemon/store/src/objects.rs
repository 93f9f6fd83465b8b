//! The stored form of the engine's objects. Each carries its version; unknown fields are ignored
//! and missing ones take their defaults, so that a newer daemon reads what an older one wrote.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::records::{ContainerConfig, HostConfig, NetworkAttachment};

/// The version written today.
pub const VERSION: u32 = 1;

/// A container. Times are nanoseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerRecord {
    pub version: u32,
    pub id: String,
    pub name: String,
    pub created: i64,
    pub path: String,
    pub args: Vec<String>,
    /// `sha256:…`
    pub image: String,
    /// diff ids, bottom first.
    pub layers: Vec<String>,
    pub config: ContainerConfig,
    pub host: HostConfig,
    pub networks: BTreeMap<String, NetworkAttachment>,
    pub mounts: Vec<MountRecord>,
    pub state: StateRecord,
    pub endpoint: Option<EndpointRecord>,
    pub published: Vec<PublishedRecord>,
    pub sandbox: String,
    pub restart_count: i64,
    /// A user stopped it: `unless-stopped` leaves it alone.
    pub manually_stopped: bool,
    pub terminal_size: [u16; 2],
}

impl ContainerRecord {
    /// diff ids of its own image and of those that are mounted into it.
    pub fn all_layers(&self) -> impl Iterator<Item = &String> {
        self.layers.iter().chain(self.mounts.iter().flat_map(|mount| &mount.layers))
    }
}

/// Where a container is in its life, as far as it survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StateRecord {
    pub status: StoredStatus,
    pub pid: i32,
    pub process_start: u64,
    pub exit_code: i32,
    pub oom_killed: bool,
    pub error: String,
    pub started_at: Option<i64>,
    pub finished_at: Option<i64>,
    /// Only with a health check, once it was started.
    pub health: Option<HealthRecord>,
}

/// What health checks have found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthRecord {
    pub status: HealthStatus,
    /// Failures in a row that count.
    pub failing_streak: i64,
    /// The last few, oldest first.
    pub log: Vec<ProbeRecord>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    #[default]
    Starting,
    Healthy,
    Unhealthy,
}

impl HealthStatus {
    /// The word that users see and filter by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// One run of a health check. Times are nanoseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProbeRecord {
    pub start: i64,
    pub end: i64,
    /// -1 when there is none: it could not be run, or took too long.
    pub exit_code: i32,
    pub output: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoredStatus {
    #[default]
    Created,
    Running,
    Restarting,
    Exited,
    Removing,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountRecord {
    /// `bind`, `volume`, `tmpfs` or `image`.
    pub kind: String,
    /// The volume's name, or the image as it was asked for.
    pub name: String,
    pub source: String,
    pub destination: String,
    pub mode: String,
    pub read_only: bool,
    pub propagation: String,
    /// Mount options of a tmpfs.
    pub options: Vec<String>,
    /// The bind source is made when it is missing.
    pub create_source: bool,
    /// The volume was made for this container and goes with it.
    pub anonymous: bool,
    /// The mounts beneath a bind do not come with it.
    pub non_recursive: bool,
    /// Only the mount itself is read-only, not those beneath it.
    pub read_only_non_recursive: bool,
    /// What of a volume or an image is mounted.
    pub subpath: String,
    /// The mounted image's id.
    pub image: String,
    /// The mounted image's diff ids, bottom first.
    pub layers: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointRecord {
    pub id: String,
    pub namespace: String,
    pub address: String,
    pub prefix_len: u8,
    pub gateway: String,
    pub mac_address: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishedRecord {
    pub container_port: u16,
    pub protocol: String,
    pub host_ip: String,
    pub host_port: u16,
}

/// An image: what its configuration document says, and what it stands on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageRecord {
    pub version: u32,
    /// `sha256:…`, the digest of the configuration document.
    pub id: String,
    pub created: Option<i64>,
    pub author: String,
    pub comment: String,
    pub docker_version: String,
    /// The container that it was made from, if it says so.
    pub container: String,
    pub architecture: String,
    pub variant: String,
    pub os: String,
    pub os_version: String,
    pub config: ContainerConfig,
    /// diff ids, bottom first.
    pub layers: Vec<String>,
    pub history: Vec<HistoryRecord>,
    pub last_tagged: Option<i64>,
    /// The id of the image that this one was made from here, or empty.
    pub parent: String,
    /// Platforms for which an index has it, `linux/arm/v7`.
    pub listed: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryRecord {
    pub created: Option<i64>,
    pub created_by: String,
    pub author: String,
    pub comment: String,
    pub empty_layer: bool,
}

/// A layer: unpacked once, with what makes it a tar again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LayerRecord {
    pub version: u32,
    /// `sha256:…` of the uncompressed tar.
    pub diff_id: String,
    /// Bytes of its files.
    pub size: u64,
    /// Bytes of the tar. Layers from before frames have none, and are kept as received, too.
    pub tar_size: Option<u64>,
    /// The tar as it was received, perhaps compressed: by the digest that it had, or by its sha256.
    pub blob: String,
    pub blob_size: u64,
    /// What registries call a blob so compressed; empty when they know no such.
    pub blob_type: String,
    /// What registries have of it, the newest last.
    pub known: Vec<KnownBlob>,
    /// What a blob that is not compressed was compressed to; only with a blob that is kept.
    pub compressed: Option<CompressedRecord>,
    /// Repositories that have that or the blob; only with a blob that is kept.
    pub repositories: Vec<String>,
}

impl LayerRecord {
    /// Whether it is kept as received, too, and has no frame.
    pub fn has_blob(&self) -> bool {
        self.tar_size.is_none()
    }

    /// Bytes that are read to send it.
    pub fn read_size(&self) -> u64 {
        self.tar_size.unwrap_or(self.blob_size)
    }
}

/// What a layer was found to be in a registry: its digest was checked here, or calculated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KnownBlob {
    /// Empty when it came by another way.
    pub repository: String,
    pub digest: String,
    pub size: u64,
    pub media_type: String,
}

/// A blob that is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompressedRecord {
    pub digest: String,
    pub size: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeRecord {
    pub version: u32,
    pub name: String,
    pub created: i64,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
    pub anonymous: bool,
    /// It is being removed: all that is left to do is to make its folder vanish.
    pub going: bool,
}

/// What a name stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReferenceRecord {
    pub version: u32,
    /// The image's id.
    pub image: String,
}
