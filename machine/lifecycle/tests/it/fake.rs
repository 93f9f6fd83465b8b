//! A driver whose machines are a file each, and an image of a few bytes.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use machine_lifecycle::driver::{
    Acceleration, Driver, DriverError, MachineFiles, Observed, Progress, Started, Stop, VmSpec,
};

/// What `start` does.
pub(crate) type Start = fn(&VmSpec) -> Result<(), DriverError>;

/// A machine runs when its directory has a file `vm`. Dies with its directory, as a VM should.
pub(crate) struct FakeDriver {
    start: Start,
    hangs: bool,
    unstoppable: bool,
    /// What was started, in order.
    pub(crate) started: Mutex<Vec<VmSpec>>,
}

impl FakeDriver {
    pub(crate) fn good() -> Self {
        Self::with_start(|_| Ok(()))
    }

    pub(crate) fn with_start(start: Start) -> Self {
        Self { start, hangs: false, unstoppable: false, started: Mutex::default() }
    }

    /// `start` leaves a VM behind and never comes back.
    pub(crate) fn hanging() -> Self {
        Self { hangs: true, ..Self::good() }
    }

    pub(crate) fn unstoppable() -> Self {
        Self { unstoppable: true, ..Self::good() }
    }
}

#[async_trait]
impl Driver for FakeDriver {
    async fn start(&self, vm: &VmSpec, progress: &dyn Progress) -> Result<Started, DriverError> {
        progress.step("booting the guest");
        self.started.lock().unwrap().push(vm.clone());
        std::fs::write(vm.machine.directory.join("vm"), "").unwrap();
        if self.hangs {
            std::future::pending::<()>().await;
        }
        if let Err(error) = (self.start)(vm) {
            std::fs::remove_file(vm.machine.directory.join("vm")).unwrap();
            return Err(error);
        }
        let timings = vec![("qemu".to_owned(), Duration::from_millis(20))];
        Ok(Started { acceleration: Acceleration::Tcg, timings })
    }

    async fn stop(&self, machine: &MachineFiles, _how: Stop) -> Result<bool, DriverError> {
        if self.unstoppable {
            return Err(DriverError::Failed("it does not end".into()));
        }
        Ok(std::fs::remove_file(machine.directory.join("vm")).is_ok())
    }

    async fn observe(&self, machine: &MachineFiles) -> Result<Observed, DriverError> {
        let runs = machine.directory.join("vm").exists();
        Ok(if runs { Observed::Running } else { Observed::Stopped })
    }
}

/// An image like a real one, but for its content.
pub(crate) fn write_image(directory: &Path) {
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
        file("vmlinux", "kernel"),
        file("initramfs.cpio", "initramfs"),
        file("disk.qcow2", "disk"),
    );
    std::fs::write(directory.join("manifest.json"), manifest).unwrap();
}
