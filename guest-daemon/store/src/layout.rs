//! Every path of the data root, derived in one place.

use std::path::{Path, PathBuf};

/// Where things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("metadata.redb")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    /// `digest` is `sha256:…`.
    pub(crate) fn blob(&self, digest: &str) -> PathBuf {
        self.blobs().join(hex_of(digest))
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    pub(crate) fn layer(&self, diff_id: &str) -> PathBuf {
        self.layers().join(hex_of(diff_id))
    }

    /// The unpacked content of a layer: what an overlay's lower directory is.
    pub fn layer_diff(&self, diff_id: &str) -> PathBuf {
        diff_in(&self.layer(diff_id))
    }

    /// What of a layer's tar is no content of a file.
    pub(crate) fn layer_frame(&self, diff_id: &str) -> PathBuf {
        frame_in(&self.layer(diff_id))
    }

    /// Files of a layer's tar that others of the same tar took the place of.
    pub(crate) fn layer_aside(&self, diff_id: &str) -> PathBuf {
        aside_in(&self.layer(diff_id))
    }

    /// The lowest layer of every container.
    pub fn skeleton(&self) -> PathBuf {
        self.root.join("skeleton")
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    pub fn container(&self, id: &str) -> PathBuf {
        self.containers().join(id)
    }

    /// A file or folder of a container: `upper`, `work`, `merged`, `hostname`, `hosts`, …
    pub fn container_file(&self, id: &str, name: &str) -> PathBuf {
        self.container(id).join(name)
    }

    /// Where one of the images is mounted that a container has beside its own.
    pub fn container_image(&self, id: &str, number: usize) -> PathBuf {
        self.container(id).join("images").join(number.to_string())
    }

    /// What `docker logs` reads, for the driver `json-file`.
    pub fn container_log(&self, id: &str) -> PathBuf {
        self.container(id).join(format!("{id}-json.log"))
    }

    /// The same for the driver `local`.
    pub fn container_local_log(&self, id: &str) -> PathBuf {
        self.container(id).join("local-logs/container.log")
    }

    /// The same for drivers that send output elsewhere.
    pub fn container_cached_log(&self, id: &str) -> PathBuf {
        self.container(id).join("container-cached.log")
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    pub fn volume_data(&self, name: &str) -> PathBuf {
        self.volumes().join(name).join("_data")
    }

    /// Half-made things; emptied at every start.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// What could not be read is moved here.
    pub(crate) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }
}

/// Of a layer's folder, wherever that is.
pub(crate) fn diff_in(layer: &Path) -> PathBuf {
    layer.join("diff")
}

pub(crate) fn frame_in(layer: &Path) -> PathBuf {
    layer.join("frame")
}

pub(crate) fn aside_in(layer: &Path) -> PathBuf {
    layer.join("aside")
}

fn hex_of(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}
