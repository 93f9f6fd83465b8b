//! A machine's directory with everything a start needs, and the proof that nothing is left of it.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use machine_lifecycle::driver::{
    Acceleration, Driver, MachineFiles, Observed, Progress, Stop, VmSpec,
};
use machine_supervisor::QemuDriver;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// For a busy host.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Host {
    pub(crate) root: TempDir,
}

/// What a user would have been told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) steps: Mutex<Vec<String>>,
    pub(crate) warnings: Mutex<Vec<String>>,
}

impl Progress for Told {
    fn step(&self, text: &str) {
        self.steps.lock().unwrap().push(text.to_owned());
    }

    fn warning(&self, text: &str) {
        self.warnings.lock().unwrap().push(text.to_owned());
    }
}

impl Host {
    pub(crate) fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A driver that uses the QEMU of this host.
    pub(crate) fn driver(&self) -> QemuDriver {
        QemuDriver::new(supervisor())
    }

    /// A driver that uses another QEMU: a bash script that may `exec "$QEMU" "$@"`.
    pub(crate) fn driver_with_qemu(&self, script: &str) -> QemuDriver {
        let qemu = self.path("qemu");
        let real = "QEMU=$(command -v qemu-system-x86_64)";
        executable(&qemu, &format!("#!/bin/bash\n{real}\n{script}\n"));
        let program = self.path("program");
        let (qemu, supervisor) = (qemu.display(), supervisor());
        let supervisor = supervisor.display();
        let text = format!("#!/bin/sh\nMACHINE_QEMU={qemu} exec {supervisor} \"$@\"\n");
        executable(&program, &text);
        QemuDriver::new(program)
    }

    /// A machine that boots this kernel, emulated.
    pub(crate) fn machine(&self, kernel: &[u8]) -> VmSpec {
        let directory = self.path("dev");
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(self.path("kernel"), kernel).unwrap();
        std::fs::write(self.path("initramfs"), [0; 512]).unwrap();
        std::fs::write(directory.join("boot.json"), "{}").unwrap();
        let disk = directory.join("disk.qcow2");
        crate::disk::create(&disk, 16);
        certificates(&directory);
        VmSpec {
            machine: MachineFiles { name: "dev".to_owned(), directory: directory.clone() },
            cpus: 1,
            memory_mib: 64,
            disk,
            disk_size_mib: 32,
            kernel: self.path("kernel"),
            initramfs: self.path("initramfs"),
            boot_contract: directory.join("boot.json"),
            api_port: free_port(),
            ssh_port: free_port(),
            acceleration: Acceleration::Tcg,
            ca_certificate: directory.join("ca.pem"),
            client_certificate: directory.join("cert.pem"),
            client_key: directory.join("key.pem"),
            host_facts: self.path("host.json"),
            resume_from: None,
            timeout: Duration::from_secs(120),
        }
    }

    /// Asserts that nothing runs in the machine's directory and only its files and logs are left.
    pub(crate) fn assert_nothing_is_left(&self) {
        let directory = self.path("dev").canonicalize().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        // Who has just told its end may take a moment to be gone.
        while let Some(process) = processes_in(&directory).next() {
            assert!(Instant::now() < deadline, "{} is left", process.display());
            std::thread::sleep(Duration::from_millis(2));
        }
        for file in std::fs::read_dir(directory).unwrap().flatten() {
            let name = file.file_name().into_string().unwrap();
            let of_a_running_vm = name.ends_with(".sock") || name == "vm.json";
            assert!(!of_a_running_vm && !name.starts_with(".saving"), "{name} is left");
        }
    }
}

fn processes_in(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let works_in = |path: &Path| std::fs::read_link(path.join("cwd")).ok();
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|process| process.path());
    processes.filter(move |process| works_in(process).as_deref() == Some(directory))
}

fn executable(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o700)).unwrap();
}

fn supervisor() -> PathBuf {
    example("supervise")
}

/// An example beside this test.
fn example(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let example = this.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(example.exists(), "build it with `cargo build -p machine-supervisor --examples`");
    example
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// A CA, a server on 127.0.0.1 and a client, as any machine has.
fn certificates(directory: &Path) {
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    };

    let write = |name: &str, text: String| std::fs::write(directory.join(name), text).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    write("ca.pem", ca.self_signed(&key).unwrap().pem());
    let issuer = Issuer::new(ca, key);
    let leaves = [
        ("server.pem", "server-key.pem", "127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth),
        ("cert.pem", "key.pem", "client", ExtendedKeyUsagePurpose::ClientAuth),
    ];
    for (certificate, key_file, name, usage) in leaves {
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        leaf.extended_key_usages = vec![usage];
        write(certificate, leaf.signed_by(&key, &issuer).unwrap().pem());
        write(key_file, key.serialize_pem());
    }
}

/// There is nothing to wait on for what other processes do to files.
async fn eventually(happens: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !happens() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A machine under the fake QEMU.
pub(crate) struct Running {
    pub(crate) driver: QemuDriver,
    pub(crate) vm: VmSpec,
}

impl Running {
    pub(crate) fn prepare(host: &Host) -> Self {
        let fake = example("fake-qemu");
        let fake = fake.display();
        // Its sockets take the place of its standard streams.
        let driver = host.driver_with_qemu(&format!(
            r#"for word; do
                case "$word" in
                    socket,id=qmp,*) exec <&"$(grep -o 'fd=[0-9]*' <<<"$word" | tr -dc 0-9)" ;;
                    socket,id=control,*) control=$(grep -o 'fd=[0-9]*' <<<"$word" | tr -dc 0-9) ;;
                    socket,id=agent,*) agent=$(grep -o 'fd=[0-9]*' <<<"$word" | tr -dc 0-9) ;;
                esac
            done
            if [ "$agent" ]; then exec {fake} "$@" >&"$control" 2>&"$agent"; fi
            exec {fake} "$@""#
        ));
        Self { driver, vm: host.machine(b"a kernel") }
    }

    pub(crate) async fn start(host: &Host) -> Self {
        let machine = Self::prepare(host);
        machine.driver.start(&machine.vm, &Told::default()).await.unwrap();
        machine
    }

    pub(crate) async fn observe(&self) -> Observed {
        self.driver.observe(&self.vm.machine, PATIENCE).await.unwrap()
    }

    /// Of something that hangs.
    pub(crate) async fn glance(&self) -> Observed {
        let patience = Duration::from_millis(100);
        let glance = self.driver.observe(&self.vm.machine, patience);
        // A bound for a busy host; what matters is that it does not wait for ever.
        tokio::time::timeout(PATIENCE, glance).await.expect("it waits for what hangs").unwrap()
    }

    pub(crate) async fn end(&self) {
        assert!(self.driver.stop(&self.vm.machine, Stop::Kill).await.unwrap());
    }

    pub(crate) async fn until(&self, wanted: Observed) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.observe().await != wanted {
            assert!(Instant::now() < deadline, "never {wanted:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// What the guest or its QEMU has been told, as far as it begins so.
    pub(crate) fn heard(&self, beginning: &str) -> Vec<String> {
        let heard = self.vm.machine.directory.join("guest.heard");
        let heard = std::fs::read_to_string(heard).unwrap_or_default();
        heard.lines().filter(|line| line.starts_with(beginning)).map(str::to_owned).collect()
    }

    pub(crate) async fn until_heard(&self, beginning: &str) {
        self.until_heard_times(beginning, 1).await;
    }

    pub(crate) async fn until_heard_times(&self, beginning: &str, times: usize) {
        eventually(|| self.heard(beginning).len() >= times, beginning).await;
    }

    /// Until this file is in the machine's directory.
    pub(crate) async fn until_there(&self, name: &str) {
        eventually(|| self.vm.machine.directory.join(name).exists(), name).await;
    }

    /// Until there is a file whose name begins so.
    pub(crate) async fn until_there_is(&self, beginning: &str) {
        eventually(|| self.has(beginning), beginning).await;
    }

    pub(crate) async fn until_there_is_no(&self, beginning: &str) {
        eventually(|| !self.has(beginning), beginning).await;
    }

    fn has(&self, beginning: &str) -> bool {
        let mut files = std::fs::read_dir(&self.vm.machine.directory).unwrap().flatten();
        files.any(|file| file.file_name().to_string_lossy().starts_with(beginning))
    }

    pub(crate) fn qemu(&self) -> Pid {
        let record = std::fs::read(self.vm.machine.directory.join("vm.json")).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
        let pid = record["qemu"]["pid"].as_i64().unwrap();
        Pid::from_raw(pid.try_into().unwrap()).unwrap()
    }

    pub(crate) fn supervisor(&self) -> Option<Pid> {
        let directory = self.vm.machine.directory.canonicalize().unwrap();
        let supervisor = processes_in(&directory).find(|process| {
            let command = std::fs::read(process.join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).ends_with("supervise\0")
        })?;
        Pid::from_raw(supervisor.file_name()?.to_str()?.parse().unwrap())
    }

    pub(crate) async fn kill_supervisor(&self) {
        kill_process(self.supervisor().unwrap(), Signal::KILL).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.supervisor().is_some() {
            assert!(Instant::now() < deadline, "it does not die");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
