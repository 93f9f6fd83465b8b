//! Debian's registry on this host, and a way to it from within a machine: a guest has no business
//! with its host's loopback, so the way is a port that `machine ssh -R` opens in the guest.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::command::Run;
use crate::machine::Machine;
use crate::wait::eventually;

/// `joe` with the password `secret`.
const USERS: &str = "joe:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// Ends when dropped.
#[derive(Debug)]
pub struct Registry {
    /// `127.0.0.1:PORT`, on the host and in the guest.
    pub host: String,
    port: u16,
    server: Child,
    _folder: tempfile::TempDir,
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
            let path = |name: &str| folder.join(name).display().to_string();
            std::fs::write(path("users"), USERS)?;
            Command::new("openssl")
                .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
                .args(["-nodes", "-days", "2", "-subj", "/CN=registry"])
                .args(["-keyout", &path("key.pem"), "-out", &path("cert.pem")])
                .run()?
                .ok()?;
            Ok(format!(
                "  tls: {{certificate: {}, key: {}}}\nauth: {{htpasswd: {{realm: x, path: {}}}}}\n",
                path("cert.pem"),
                path("key.pem"),
                path("users")
            ))
        })
    }

    fn start(more: impl FnOnce(&std::path::Path) -> Result<String>) -> Result<Self> {
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
        let registry = Self { host, port, server, _folder: folder };
        eventually("the registry listens", || {
            Ok(std::net::TcpStream::connect(&registry.host).is_ok())
        })?;
        Ok(registry)
    }

    /// The port of its address.
    pub fn port(&self) -> u16 {
        self.port
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

/// Opens a port of the guest's loopback that leads to one of this host's.
pub fn tunnel(machine: &Machine, guest: u16, host: u16) -> Result<Tunnel> {
    let forward = format!("127.0.0.1:{guest}:127.0.0.1:{host}");
    let mut ssh = machine.host.machine();
    ssh.args(["ssh", &machine.name, "-N", "-o", "ExitOnForwardFailure=yes", "-R", &forward]);
    let tunnel = Tunnel(ssh.stdin(Stdio::null()).spawn().context("machine ssh")?);
    let port = guest.to_string();
    eventually("the port is open in the guest", || {
        Ok(machine.ssh(["nc", "-w", "2", "127.0.0.1", &port, "-e", "true"]).run()?.code == 0)
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
