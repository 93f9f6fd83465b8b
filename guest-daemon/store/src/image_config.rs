//! The image configuration document, as Docker and the OCI image specification write it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Store;
use crate::digests::{self, digest_of};
use crate::documents;
use crate::error::{Result, StoreError};
use crate::objects::{HistoryRecord, ImageRecord, VERSION};
use crate::records::{ContainerConfig, HealthConfig};

/// An image that is made here rather than received.
#[derive(Clone, Debug, Default)]
pub struct NewImage {
    /// Nanoseconds since 1970.
    pub created: i64,
    pub author: String,
    pub comment: String,
    /// Of the program that makes it.
    pub docker_version: String,
    pub architecture: String,
    pub variant: String,
    pub os: String,
    pub config: ContainerConfig,
    /// diff ids, bottom first.
    pub layers: Vec<String>,
    pub history: Vec<HistoryRecord>,
    /// The image it was made from, or empty.
    pub parent: String,
    /// The container it was made from, or empty.
    pub container: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Document {
    architecture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    os: Option<String>,
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    os_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    docker_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<String>,
    config: Option<Config>,
    rootfs: RootFs,
    history: Option<Vec<History>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct RootFs {
    #[serde(rename = "type")]
    kind: String,
    diff_ids: Option<Vec<String>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct History {
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    empty_layer: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Config {
    hostname: Option<String>,
    domainname: Option<String>,
    user: Option<String>,
    attach_stdin: bool,
    attach_stdout: bool,
    attach_stderr: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    exposed_ports: Option<BTreeMap<String, Value>>,
    tty: bool,
    open_stdin: bool,
    stdin_once: bool,
    env: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<Health>,
    #[serde(skip_serializing_if = "is_false")]
    args_escaped: bool,
    image: Option<String>,
    volumes: Option<BTreeMap<String, Value>>,
    working_dir: Option<String>,
    entrypoint: Option<Vec<String>>,
    on_build: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_signal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_timeout: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shell: Option<Vec<String>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Health {
    test: Option<Vec<String>>,
    interval: i64,
    timeout: i64,
    start_period: i64,
    start_interval: i64,
    retries: i64,
}

impl Store {
    /// Stores the configuration of an image made here; its digest is the image's id.
    pub fn make_image(&self, image: NewImage) -> Result<ImageRecord> {
        let document = Document {
            architecture: Some(image.architecture),
            variant: some(image.variant),
            os: Some(image.os),
            os_version: None,
            docker_version: some(image.docker_version),
            created: Some(time_text(image.created)),
            author: some(image.author),
            comment: some(image.comment),
            container: some(image.container),
            config: Some(to_document(image.config)),
            rootfs: RootFs { kind: "layers".into(), diff_ids: Some(image.layers) },
            history: Some(image.history.into_iter().map(History::from).collect()),
        };
        let bytes = serde_json::to_vec(&document).map_err(StoreError::Encode)?;
        let id = self.put_blob(&bytes)?;
        Ok(ImageRecord { parent: image.parent, ..parse(&id, &bytes)? })
    }

    /// Keeps the configuration of an image made elsewhere.
    pub fn keep_image(&self, document: &[u8]) -> Result<ImageRecord> {
        let image = read_image(document)?;
        self.put_blob(document)?;
        Ok(image)
    }

    /// The configuration as it was received.
    pub fn image_document(&self, id: &str) -> Result<Vec<u8>> {
        self.read_blob(id, documents::LARGEST)
    }
}

/// What a configuration says, without keeping it.
pub fn read_image(document: &[u8]) -> Result<ImageRecord> {
    parse(&digest_of(document), document)
}

/// Reads a configuration document.
pub(crate) fn parse(id: &str, bytes: &[u8]) -> Result<ImageRecord> {
    let document: Document = documents::parse("image configuration", bytes)?;
    let layers = document.rootfs.diff_ids.unwrap_or_default();
    if let Some(wrong) = layers.iter().find(|layer| !digests::is_own(layer)) {
        return Err(StoreError::Invalid(format!("invalid diffID {wrong}")));
    }
    Ok(ImageRecord {
        version: VERSION,
        id: id.to_owned(),
        created: document.created.as_deref().and_then(parse_time),
        author: document.author.unwrap_or_default(),
        comment: document.comment.unwrap_or_default(),
        docker_version: document.docker_version.unwrap_or_default(),
        container: document.container.unwrap_or_default(),
        architecture: document.architecture.unwrap_or_default(),
        variant: document.variant.unwrap_or_default(),
        os: document.os.filter(|os| !os.is_empty()).unwrap_or_else(|| "linux".into()),
        os_version: document.os_version.unwrap_or_default(),
        config: from_document(document.config.unwrap_or_default()),
        layers,
        history: document
            .history
            .unwrap_or_default()
            .into_iter()
            .map(HistoryRecord::from)
            .collect(),
        last_tagged: None,
        parent: String::new(),
        listed: Vec::new(),
    })
}

pub(crate) fn time_text(unix_nanos: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(unix_nanos)).unwrap_or_default().to_string()
}

fn parse_time(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

impl From<History> for HistoryRecord {
    fn from(history: History) -> Self {
        Self {
            created: history.created.as_deref().and_then(parse_time),
            created_by: history.created_by.unwrap_or_default(),
            author: history.author.unwrap_or_default(),
            comment: history.comment.unwrap_or_default(),
            empty_layer: history.empty_layer,
        }
    }
}

impl From<HistoryRecord> for History {
    fn from(history: HistoryRecord) -> Self {
        Self {
            created: history.created.map(time_text),
            created_by: some(history.created_by),
            author: some(history.author),
            comment: some(history.comment),
            empty_layer: history.empty_layer,
        }
    }
}

fn from_document(config: Config) -> ContainerConfig {
    ContainerConfig {
        hostname: config.hostname.unwrap_or_default(),
        domainname: config.domainname.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
        attach_stdin: config.attach_stdin,
        attach_stdout: config.attach_stdout,
        attach_stderr: config.attach_stderr,
        exposed_ports: config.exposed_ports.unwrap_or_default().into_keys().collect(),
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        env: config.env.unwrap_or_default(),
        cmd: config.cmd,
        healthcheck: config.healthcheck.map(|health| HealthConfig {
            test: health.test.unwrap_or_default(),
            interval: health.interval,
            timeout: health.timeout,
            start_period: health.start_period,
            start_interval: health.start_interval,
            retries: health.retries,
        }),
        args_escaped: config.args_escaped,
        image: config.image.unwrap_or_default(),
        volumes: config.volumes.unwrap_or_default().into_keys().collect(),
        working_dir: config.working_dir.unwrap_or_default(),
        entrypoint: config.entrypoint,
        network_disabled: false,
        on_build: config.on_build,
        labels: config.labels.unwrap_or_default(),
        stop_signal: config.stop_signal.filter(|signal| !signal.is_empty()),
        stop_timeout: config.stop_timeout,
        shell: config.shell,
    }
}

fn to_document(config: ContainerConfig) -> Config {
    let set = |names: std::collections::BTreeSet<String>| {
        let map: BTreeMap<String, Value> =
            names.into_iter().map(|name| (name, Value::Object(serde_json::Map::new()))).collect();
        Some(map).filter(|map| !map.is_empty())
    };
    Config {
        hostname: Some(config.hostname),
        domainname: Some(config.domainname),
        user: Some(config.user),
        attach_stdin: config.attach_stdin,
        attach_stdout: config.attach_stdout,
        attach_stderr: config.attach_stderr,
        exposed_ports: set(config.exposed_ports),
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        env: Some(config.env),
        cmd: config.cmd,
        healthcheck: config.healthcheck.map(|health| Health {
            test: Some(health.test),
            interval: health.interval,
            timeout: health.timeout,
            start_period: health.start_period,
            start_interval: health.start_interval,
            retries: health.retries,
        }),
        args_escaped: config.args_escaped,
        image: Some(config.image),
        volumes: set(config.volumes),
        working_dir: Some(config.working_dir),
        entrypoint: config.entrypoint,
        on_build: config.on_build,
        labels: Some(config.labels).filter(|labels| !labels.is_empty()),
        stop_signal: config.stop_signal,
        stop_timeout: config.stop_timeout,
        shell: config.shell,
    }
}
