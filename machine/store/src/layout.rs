//! Every path below the storage root, derived here and nowhere else.

use std::path::{Path, PathBuf};

/// The storage root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

/// The files of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachinePaths {
    directory: PathBuf,
}

/// The files of one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotPaths {
    directory: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn authority_certificate(&self) -> PathBuf {
        self.certs().join("ca.pem")
    }

    pub fn authority_key(&self) -> PathBuf {
        self.certs().join("ca-key.pem")
    }

    /// The certificates of CAs that were replaced and are trusted a while longer.
    pub fn authority_previous(&self) -> PathBuf {
        self.certs().join("ca-previous.pem")
    }

    /// A new CA, key first, until both of its files are in their places.
    pub fn authority_next(&self) -> PathBuf {
        self.certs().join("ca-next.pem")
    }

    /// Where packed images are unpacked.
    pub fn image_cache(&self) -> PathBuf {
        self.root.join("cache/image")
    }

    /// What was found out about this host.
    pub fn host_facts(&self) -> PathBuf {
        self.root.join("host.json")
    }

    pub(crate) fn machines(&self) -> PathBuf {
        self.root.join("machines")
    }

    pub(crate) fn machine(&self, name: &str) -> MachinePaths {
        MachinePaths { directory: self.machines().join(name) }
    }

    /// A machine while it is put together. No machine has a name that begins with a dot.
    pub(crate) fn draft(&self, name: &str) -> MachinePaths {
        MachinePaths { directory: self.machines().join(format!(".{name}.creating")) }
    }

    /// A machine while it is removed.
    pub(crate) fn removing(&self, name: &str) -> PathBuf {
        self.machines().join(format!(".{name}.removing"))
    }

    /// Outside of the machine's directory, so that it can be held while that comes and goes.
    pub(crate) fn machine_lock(&self, name: &str) -> PathBuf {
        self.machines().join(format!(".{name}.lock"))
    }

    pub(crate) fn authority_lock(&self) -> PathBuf {
        self.certs().join(".lock")
    }

    pub(crate) fn clients_lock(&self) -> PathBuf {
        self.root.join(".clients.lock")
    }

    pub(crate) fn ports_lock(&self) -> PathBuf {
        self.root.join(".ports.lock")
    }

    /// In the order in which they are made.
    pub(crate) fn directories(&self) -> [PathBuf; 4] {
        [self.root.clone(), self.certs(), self.machines(), self.root.join("cache")]
    }

    fn certs(&self) -> PathBuf {
        self.root.join("certs")
    }
}

impl MachinePaths {
    pub(crate) fn of(directory: PathBuf) -> Self {
        Self { directory }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn record(&self) -> PathBuf {
        self.directory.join("machine.yaml")
    }

    /// The names that the docker command expects in `DOCKER_CERT_PATH`.
    pub fn authority_certificate(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    pub fn client_certificate(&self) -> PathBuf {
        self.directory.join("cert.pem")
    }

    pub fn client_key(&self) -> PathBuf {
        self.directory.join("key.pem")
    }

    pub fn server_certificate(&self) -> PathBuf {
        self.directory.join("server.pem")
    }

    pub fn server_key(&self) -> PathBuf {
        self.directory.join("server-key.pem")
    }

    /// With what the user logs in.
    pub fn ssh_key(&self) -> PathBuf {
        self.directory.join("id_ed25519")
    }

    pub fn ssh_public_key(&self) -> PathBuf {
        self.directory.join("id_ed25519.pub")
    }

    /// With what the guest proves to be the guest.
    pub fn ssh_host_key(&self) -> PathBuf {
        self.directory.join("ssh_host_ed25519_key")
    }

    pub fn disk(&self) -> PathBuf {
        self.directory.join("disk.qcow2")
    }

    /// Written anew at each start.
    pub fn boot_contract(&self) -> PathBuf {
        self.directory.join("boot.json")
    }

    /// Written by QEMU.
    pub fn console_log(&self) -> PathBuf {
        self.directory.join("console.log")
    }

    /// A suspended machine's memory; the machine goes on from it.
    pub fn memory_state(&self) -> PathBuf {
        self.directory.join("memory.state")
    }

    /// What the VM was started with that runs, or whose memory is stored.
    pub fn booted(&self) -> PathBuf {
        self.directory.join("booted.json")
    }

    /// The SSH server's public key, as ssh wants it.
    pub fn known_hosts(&self) -> PathBuf {
        self.directory.join("known_hosts")
    }

    /// Where tools that look for a socket find the Docker API while the machine runs.
    pub fn docker_socket(&self) -> PathBuf {
        self.directory.join("docker.sock")
    }

    /// The files of a snapshot, whether or not it exists.
    pub fn snapshot(&self, name: &str) -> SnapshotPaths {
        SnapshotPaths { directory: self.snapshots().join(name) }
    }

    /// Whether there is a memory to go on from.
    pub fn is_saved(&self) -> bool {
        let restored = self.restored();
        if restored.memory().exists() {
            return true;
        }
        // The disk that is about to come belongs to no memory, or to the one above.
        !restored.disk().exists() && self.memory_state().exists()
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.directory.join("snapshots")
    }

    /// A snapshot while it is put together; no snapshot has a name that begins with a dot.
    pub(crate) fn snapshot_draft(&self, name: &str) -> SnapshotPaths {
        SnapshotPaths { directory: self.snapshots().join(format!(".{name}.saving")) }
    }

    pub(crate) fn snapshot_removing(&self, name: &str) -> PathBuf {
        self.snapshots().join(format!(".{name}.removing"))
    }

    /// What the machine is to become, while it is put together.
    pub(crate) fn restoring(&self) -> SnapshotPaths {
        SnapshotPaths { directory: self.directory.join(".restoring") }
    }

    /// What the machine has become; its files are only still to be moved to their places.
    pub(crate) fn restored(&self) -> SnapshotPaths {
        SnapshotPaths { directory: self.directory.join(".restored") }
    }

    /// There from the moment the machine takes its name until its first start has succeeded.
    pub(crate) fn unfinished_mark(&self) -> PathBuf {
        self.directory.join(".unfinished")
    }
}

impl SnapshotPaths {
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn disk(&self) -> PathBuf {
        self.directory.join("disk.qcow2")
    }

    /// Of a machine that ran.
    pub fn memory(&self) -> PathBuf {
        self.directory.join("memory.state")
    }

    /// What the VM was started with whose memory this is.
    pub fn booted(&self) -> PathBuf {
        self.directory.join("booted.json")
    }

    /// When it was taken, and of what.
    pub fn description(&self) -> PathBuf {
        self.directory.join("snapshot.json")
    }
}
