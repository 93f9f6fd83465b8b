//! Debian's registry on this host, and a way to it from within a machine: a guest has no business
//! with its host's loopback, so the way is a port that `machine ssh -R` opens in the guest.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use serde_json::{Value, json};

use crate::archive;
use crate::command::Run;
use crate::http;
use crate::machine::Machine;
use crate::wait::eventually;

/// `joe` with the password `secret`.
const USERS: &str = "joe:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Ends when dropped.
#[derive(Debug)]
pub struct Registry {
    /// `127.0.0.1:PORT`, on the host and in the guest.
    pub host: String,
    port: u16,
    server: Child,
    folder: tempfile::TempDir,
}

/// Ends when dropped.
#[derive(Debug)]
pub struct Tunnel(Child);

impl Registry {
    /// One that anybody may use, without TLS.
    pub fn open() -> Result<Self> {
        Self::start(|_| Ok(String::new()))
    }

    /// One with TLS that wants to know who it is.
    pub fn guarded() -> Result<Self> {
        Self::start(|folder| {
            let users = folder.join("users");
            std::fs::write(&users, USERS)?;
            let users = users.display();
            let tls = encrypted(folder, "DNS:registry")?;
            Ok(format!("{tls}auth: {{htpasswd: {{realm: x, path: {users}}}}}\n"))
        })
    }

    /// One with TLS and a certificate that it has signed itself, for this address.
    pub fn encrypted(address: &str) -> Result<Self> {
        Self::start(|folder| encrypted(folder, &format!("IP:{address}")))
    }

    /// Its certificate, in PEM form.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    fn start(more: impl FnOnce(&Path) -> Result<String>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let host = format!("127.0.0.1:{port}");
        let data = folder.path().join("data");
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http:\n  addr: {host}\n{}",
            data.display(),
            more(folder.path())?
        );
        let file = folder.path().join("config.yml");
        std::fs::write(&file, config)?;
        let server = Command::new("docker-registry")
            .arg("serve")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("docker-registry is not installed")?;
        let registry = Self { host, port, server, folder };
        eventually("the registry listens", || {
            Ok(std::net::TcpStream::connect(&registry.host).is_ok())
        })?;
        Ok(registry)
    }

    /// The port of its address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The tags of a repository, as it tells them.
    pub fn tags(&self, repository: &str) -> Result<String> {
        let answer =
            http::send(&self.host, "GET", &format!("/v2/{repository}/tags/list"), "", b"")?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Puts bytes there, without a docker command; their digest.
    pub fn put_blob(&self, repository: &str, content: &[u8]) -> Result<String> {
        let digest = archive::digest(content);
        self.put_blob_as(repository, content, &digest)?;
        Ok(digest)
    }

    fn put_blob_as(&self, repository: &str, content: &[u8], digest: &str) -> Result<()> {
        let begun =
            http::ask(&self.host, "POST", &format!("/v2/{repository}/blobs/uploads/"), "", b"")?;
        let place = begun.header("Location")?;
        let path = place.split_once(&self.host).map_or(place, |(_, path)| path);
        let and = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{and}digest={digest}");
        http::ask(&self.host, "PUT", &path, "application/octet-stream", content).map(drop)
    }

    /// Puts an image there with these layers, without a machine; its manifest's digest.
    pub fn put_image(
        &self,
        repository: &str,
        tag: &str,
        config: &Value,
        layers: &[Vec<u8>],
    ) -> Result<String> {
        self.put_image_as(repository, tag, config, layers, archive::digest)
    }

    /// The same with blobs that are known by another kind of digest.
    pub fn put_image_as(
        &self,
        repository: &str,
        tag: &str,
        config: &Value,
        layers: &[Vec<u8>],
        digest: fn(&[u8]) -> String,
    ) -> Result<String> {
        let config = archive::image_config(config, layers);
        self.put_blob_as(repository, config.as_bytes(), &digest(config.as_bytes()))?;
        let mut described = Vec::new();
        for layer in layers {
            let packed = archive::gzip(layer)?;
            let digest = digest(&packed);
            self.put_blob_as(repository, &packed, &digest)?;
            described.push(json!({"mediaType": LAYER, "digest": digest, "size": packed.len()}));
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest(config.as_bytes()),
                "size": config.len(),
            },
            "layers": described,
        })
        .to_string();
        self.put_manifest(repository, tag, MANIFEST, &manifest)?;
        Ok(archive::digest(manifest.as_bytes()))
    }

    /// Puts a manifest there under a tag.
    pub fn put_manifest(&self, repository: &str, tag: &str, kind: &str, text: &str) -> Result<()> {
        let path = format!("/v2/{repository}/manifests/{tag}");
        http::ask(&self.host, "PUT", &path, kind, text.as_bytes()).map(drop)
    }

    /// Makes it reachable in the machine under its own address.
    pub fn reach(&self, machine: &Machine) -> Result<Tunnel> {
        tunnel(machine, self.port, self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        end(&mut self.server);
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

/// A key and a certificate for a name, as Docker's manual tells to make them; how they are used.
fn encrypted(folder: &Path, name: &str) -> Result<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=registry"])
        .args(["-addext", &format!("subjectAltName={name}")])
        .args(["-keyout", &path("key.pem"), "-out", &path("cert.pem")])
        .run()?
        .ok()?;
    Ok(format!("  tls: {{certificate: {}, key: {}}}\n", path("cert.pem"), path("key.pem")))
}

/// Opens a port of the guest's loopback that leads to one of this host's.
pub fn tunnel(machine: &Machine, guest: u16, host: u16) -> Result<Tunnel> {
    tunnel_at(machine, "127.0.0.1", guest, host)
}

/// The same at another address of the guest's.
pub fn tunnel_at(machine: &Machine, address: &str, guest: u16, host: u16) -> Result<Tunnel> {
    let forward = format!("{address}:{guest}:127.0.0.1:{host}");
    let mut ssh = machine.host.machine();
    ssh.args(["ssh", &machine.name, "-N", "-o", "ExitOnForwardFailure=yes", "-R", &forward]);
    let tunnel = Tunnel(ssh.stdin(Stdio::null()).spawn().context("machine ssh")?);
    let port = guest.to_string();
    eventually("the port is open in the guest", || {
        Ok(machine.ssh(["nc", "-w", "2", address, &port, "-e", "true"]).run()?.code == 0)
    })?;
    Ok(tunnel)
}

/// A port that nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Politely, so that what it has started ends with it.
fn end(child: &mut Child) {
    let pid = rustix::process::Pid::from_child(child);
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    drop(child.wait());
}
