//! A driver whose machines are a few files each, and an image of a few bytes.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use machine_lifecycle::driver::{
    Acceleration, Driver, DriverError, MachineFiles, Observed, Progress, Started, Stop, VmSpec,
};

/// What `start` does.
pub(crate) type Start = fn(&VmSpec) -> Result<(), DriverError>;

/// A machine runs when its directory has a file `vm`, in which `running` or `paused` stands, and is
/// supervised when it has a file `supervisor`. Dies with its directory, as a VM should. A memory
/// names the content of the disk that it belongs to.
pub(crate) struct FakeDriver {
    start: Start,
    /// The call that never comes back; its effect is there.
    hangs: Option<&'static str>,
    /// The call that fails without an effect.
    fails: Option<&'static str>,
    /// What was started, in order.
    pub(crate) started: Mutex<Vec<VmSpec>>,
    /// What was done, in order.
    pub(crate) calls: Mutex<Vec<String>>,
}

impl FakeDriver {
    pub(crate) fn good() -> Self {
        Self::with_start(|_| Ok(()))
    }

    pub(crate) fn with_start(start: Start) -> Self {
        let (started, calls) = (Mutex::default(), Mutex::default());
        Self { start, hangs: None, fails: None, started, calls }
    }

    pub(crate) fn hanging(call: &'static str) -> Self {
        Self { hangs: Some(call), ..Self::good() }
    }

    pub(crate) fn failing(call: &'static str) -> Self {
        Self { fails: Some(call), ..Self::good() }
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn begin(&self, call: &str) -> Result<(), DriverError> {
        self.calls.lock().unwrap().push(call.to_owned());
        if self.fails == Some(call) {
            return Err(DriverError::Failed(format!("{call} fails")));
        }
        Ok(())
    }

    async fn end(&self, call: &str) {
        if self.hangs == Some(call) {
            std::future::pending::<()>().await;
        }
    }
}

fn state(directory: &Path) -> Option<String> {
    std::fs::read_to_string(directory.join("vm")).ok()
}

fn supervised(machine: &MachineFiles) -> Result<(), DriverError> {
    if machine.directory.join("supervisor").exists() {
        Ok(())
    } else {
        Err(DriverError::Unsupervised { name: machine.name.clone() })
    }
}

fn memory_of(disk: &Path) -> String {
    format!("memory of {}", std::fs::read_to_string(disk).unwrap())
}

/// Goes on from a memory, which must fit the disk.
fn resume(vm: &VmSpec, memory: &Path) -> Result<(), DriverError> {
    let found = std::fs::read_to_string(memory).unwrap();
    if found != memory_of(&vm.disk) {
        return Err(DriverError::StateMismatch { reason: found });
    }
    std::fs::remove_file(memory).unwrap();
    Ok(())
}

#[async_trait]
impl Driver for FakeDriver {
    async fn check(&self) -> Result<(), DriverError> {
        self.begin("check")
    }

    async fn start(&self, vm: &VmSpec, progress: &dyn Progress) -> Result<Started, DriverError> {
        self.begin("start")?;
        progress.step("booting the guest");
        self.started.lock().unwrap().push(vm.clone());
        (self.start)(vm)?;
        if state(&vm.machine.directory).is_none() {
            vm.resume_from.as_ref().map_or(Ok(()), |memory| resume(vm, memory))?;
            std::fs::write(vm.machine.directory.join("vm"), "running").unwrap();
        }
        std::fs::write(vm.machine.directory.join("supervisor"), "").unwrap();
        self.end("start").await;
        let timings = vec![("qemu".to_owned(), Duration::from_millis(20))];
        Ok(Started { acceleration: Acceleration::Tcg, timings })
    }

    async fn stop(&self, machine: &MachineFiles, how: Stop) -> Result<bool, DriverError> {
        self.begin(if how == Stop::Kill { "kill" } else { "stop" })?;
        let ran = std::fs::remove_file(machine.directory.join("vm")).is_ok();
        self.end(if how == Stop::Kill { "kill" } else { "stop" }).await;
        Ok(ran)
    }

    async fn observe(
        &self,
        machine: &MachineFiles,
        _patience: Duration,
    ) -> Result<Observed, DriverError> {
        Ok(match state(&machine.directory).as_deref() {
            None => Observed::Stopped,
            Some("paused") => Observed::Paused,
            Some("starting") => Observed::Starting,
            Some("hung") => Observed::Unresponsive,
            Some(_) => Observed::Running,
        })
    }

    async fn is_supervised(&self, machine: &MachineFiles) -> Result<bool, DriverError> {
        Ok(supervised(machine).is_ok())
    }

    async fn pause(&self, machine: &MachineFiles) -> Result<(), DriverError> {
        self.begin("pause")?;
        supervised(machine)?;
        std::fs::write(machine.directory.join("vm"), "paused").unwrap();
        Ok(())
    }

    async fn unpause(&self, machine: &MachineFiles) -> Result<(), DriverError> {
        self.begin("unpause")?;
        supervised(machine)?;
        std::fs::write(machine.directory.join("vm"), "running").unwrap();
        Ok(())
    }

    async fn suspend(&self, machine: &MachineFiles, state: &Path) -> Result<(), DriverError> {
        self.begin("suspend")?;
        supervised(machine)?;
        let memory = memory_of(&machine.directory.join("disk.qcow2"));
        let part = state.with_extension("part");
        std::fs::write(&part, memory).unwrap();
        std::fs::rename(&part, state).unwrap();
        std::fs::remove_file(machine.directory.join("vm")).unwrap();
        self.end("suspend").await;
        Ok(())
    }

    async fn snapshot(
        &self,
        machine: &MachineFiles,
        state: Option<&Path>,
        disk: &Path,
    ) -> Result<(), DriverError> {
        self.begin("snapshot")?;
        supervised(machine)?;
        let own = machine.directory.join("disk.qcow2");
        if let Some(state) = state {
            std::fs::write(state, memory_of(&own)).unwrap();
        }
        std::fs::copy(own, disk).unwrap();
        self.end("snapshot").await;
        Ok(())
    }

    async fn grow_disk(&self, machine: &MachineFiles, size_mib: u64) -> Result<(), DriverError> {
        self.begin(&format!("grow_disk {size_mib}"))?;
        supervised(machine)
    }

    async fn load_identity(
        &self,
        machine: &MachineFiles,
        identity: &boot::TlsIdentity,
    ) -> Result<(), DriverError> {
        self.begin("load_identity")?;
        supervised(machine)?;
        let loaded = serde_json::to_vec(identity).unwrap();
        // All of it at once, as in a guest's memory.
        let part = machine.directory.join("loaded.part");
        std::fs::write(&part, loaded).unwrap();
        std::fs::rename(part, machine.directory.join("loaded.json")).unwrap();
        self.end("load_identity").await;
        Ok(())
    }
}

/// An image like a real one, but for its content.
pub(crate) fn write_image(directory: &Path, kernel: &str) {
    std::fs::create_dir_all(directory).unwrap();
    let file = |name: &str, content: &str| {
        std::fs::write(directory.join(name), content).unwrap();
        let sha256 = ring::digest::digest(&ring::digest::SHA256, content.as_bytes());
        let (size, sha256) = (content.len(), hex::encode(sha256));
        format!(r#"{{"name":"{name}","size":{size},"sha256":"{sha256}"}}"#)
    };
    let manifest = format!(
        r#"{{"version":1,"arch":"{}","files":{{"kernel":{},"initramfs":{},"disk":{}}}}}"#,
        vm_images::architecture(),
        file("vmlinux", kernel),
        file("initramfs.cpio", "initramfs"),
        file("disk.qcow2", "disk"),
    );
    std::fs::write(directory.join("manifest.json"), manifest).unwrap();
}
