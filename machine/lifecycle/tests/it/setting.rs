//! Machines of a fake driver in a real store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use machine_lifecycle::driver::{Acceleration, Progress};
use machine_lifecycle::{
    Capacity, Created, DriverKind, Error, MachineName, MachineSpec, Machines, StartOptions,
};
use machine_store::Store;
use tempfile::TempDir;
use vm_images::Location;

use crate::fake::{FakeDriver, write_image};

pub(crate) const TIME: Duration = Duration::from_secs(60);
pub(crate) const OPTIONS: StartOptions =
    StartOptions { timeout: TIME, discard_state: false, keep_failed: false };

/// Keeps the warnings.
#[derive(Default)]
pub(crate) struct Silent(pub(crate) Mutex<Vec<String>>);

impl Progress for Silent {
    fn step(&self, _text: &str) {}

    fn warning(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

pub(crate) fn silent() -> Silent {
    Silent::default()
}

/// A storage root and an image, in a directory that goes with the test.
pub(crate) struct Setting {
    pub(crate) directory: TempDir,
    pub(crate) driver: Arc<FakeDriver>,
    pub(crate) machines: Machines,
}

impl Setting {
    pub(crate) fn new(driver: FakeDriver) -> Self {
        let directory = tempfile::tempdir().unwrap();
        write_image(&directory.path().join("image"), "kernel");
        let driver = Arc::new(driver);
        let machines = machines(directory.path(), driver.clone());
        Self { directory, driver, machines }
    }

    /// With a machine `dev` that runs.
    pub(crate) async fn with_dev() -> Self {
        let setting = Self::new(FakeDriver::good());
        setting.create("dev").await.unwrap();
        setting.driver.calls();
        setting
    }

    /// As another command would see the same machines.
    pub(crate) fn again(&self, driver: FakeDriver) -> Machines {
        machines(self.directory.path(), Arc::new(driver))
    }

    pub(crate) async fn create(&self, name: &str) -> Result<Created, Error> {
        self.machines.create(&named(name), &spec(), OPTIONS, &silent()).await
    }

    /// A file of a machine.
    pub(crate) fn file(&self, name: &str, file: &str) -> PathBuf {
        self.directory.path().join("store/machines").join(name).join(file)
    }

    pub(crate) fn read(&self, name: &str, file: &str) -> String {
        std::fs::read_to_string(self.file(name, file)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, file: &str, content: &str) {
        std::fs::write(self.file(name, file), content).unwrap();
    }

    pub(crate) fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path().join("store/machines")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

pub(crate) fn machines(directory: &Path, driver: Arc<FakeDriver>) -> Machines {
    let store = Store::open(&directory.join("store")).unwrap();
    let images = Location::new(Some(directory.join("image")), Path::new("/nowhere/machine"));
    let capacity =
        |_: &Store| Capacity { cpus: 4, memory_mib: Some(4096), disk_mib: Some(100_000) };
    Machines::new(store, driver, images).with_capacity(capacity)
}

pub(crate) fn named(name: &str) -> MachineName {
    name.parse().unwrap()
}

pub(crate) fn spec() -> MachineSpec {
    MachineSpec {
        driver: DriverKind::Qemu,
        cpus: 2,
        memory_mib: 1024,
        disk_size_mib: 20_000,
        acceleration: Acceleration::Auto,
        tls_names: vec!["dev.example".into()],
        engine: machine_store::EngineRecord {
            labels: vec!["colour=red".into()],
            ..machine_store::EngineRecord::default()
        },
        swarm: None,
    }
}
