//! The guest that ours is compared with: Debian's dockerd on the same kernel, in a virtual machine
//! of the same size.

use std::fs::File;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use machine_e2e::api::{Api, Place};
use machine_e2e::{Machine, Run};
use serde_json::Value;

/// dockerd needs a while to come up under emulation.
const PATIENCE: Duration = Duration::from_secs(400);

pub(crate) struct Reference {
    qemu: Child,
    pub(crate) port: u16,
    pub(crate) place: Place,
    weights: u16,
    _files: tempfile::TempDir,
}

impl Reference {
    /// With the board, the CPUs, the memory and the certificates of `machine`'s virtual machine.
    pub(crate) fn start_like(machine: &Machine) -> Result<Self> {
        let template = Command::new(machine_e2e::host::workspace().join("scripts/reference-disk"))
            .run()?
            .text()?;
        let folder = tempfile::tempdir()?;
        let disk = folder.path().join("disk.qcow2");
        Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b", &template])
            .arg(&disk)
            .run()?
            .ok()?;
        let certificates = folder.path().join("certificates.tar");
        certificates_of(machine, &certificates)?;
        let record: Value =
            serde_json::from_slice(&std::fs::read(machine.directory().join("vm.json"))?)?;
        let pid = record["qemu"]["pid"].as_u64().context("no pid")?;
        let words = std::fs::read(format!("/proc/{pid}/cmdline"))?;
        let words: Vec<String> = words
            .split(|byte| *byte == 0)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        let (port, weights) = (free_port()?, free_port()?);
        let mut qemu = Command::new(&words[0]);
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none"]);
        for (switch, value) in words.iter().zip(words.iter().skip(1)) {
            if ["-machine", "-accel", "-cpu", "-smp", "-m", "-bios", "-kernel"]
                .contains(&switch.as_str())
            {
                qemu.args([switch, value]);
            }
            if switch == "-append" {
                qemu.args(["-append", &format!("{value} root=/dev/vda rw init=/init")]);
            }
        }
        let network = format!(
            "user,id=net0,hostfwd=tcp:127.0.0.1:{port}-:2376,hostfwd=tcp:127.0.0.1:{weights}-:2375"
        );
        qemu.args(["-netdev", &network])
            .args(["-device", "virtio-net-pci,netdev=net0,host_mtu=65520,romfile="])
            .args(["-drive", &format!("file={},if=virtio,format=qcow2", disk.display())])
            .args(["-drive", &format!("file={},if=virtio,format=raw", certificates.display())])
            .args(["-device", "virtio-rng-pci"])
            .args(["-serial", &format!("file:{}", folder.path().join("console.log").display())])
            .stdin(Stdio::null());
        let qemu = qemu.spawn().context("starting QEMU")?;
        let place = Place::with_certificates(port, &machine.directory())?;
        let mut reference = Self { qemu, port, place, weights, _files: folder };
        reference.wait()?;
        Ok(reference)
    }

    fn wait(&mut self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let answered = Api::connect(&self.place)
                .and_then(|mut api| api.call("GET", "/version", &Value::Null));
            if answered.is_ok() {
                return Ok(());
            }
            ensure!(self.qemu.try_wait()?.is_none(), "the reference guest ended");
            ensure!(
                begun.elapsed() < PATIENCE,
                "the reference guest does not answer: {answered:?}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// `/proc/*/status` and `/proc/meminfo`, in part.
    pub(crate) fn weights(&self) -> Result<String> {
        let mut text = String::new();
        TcpStream::connect(("127.0.0.1", self.weights))?.read_to_string(&mut text)?;
        Ok(text)
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        drop(self.qemu.kill());
        drop(self.qemu.wait());
    }
}

/// What `scripts/reference-init` unpacks.
fn certificates_of(machine: &Machine, to: &Path) -> Result<()> {
    let mut archive = tar::Builder::new(File::create(to)?);
    for name in ["ca.pem", "server.pem", "server-key.pem"] {
        archive.append_path_with_name(machine.directory().join(name), name)?;
    }
    Ok(archive.finish()?)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
