//! Whole runs of the command with a fake driver: what the user sees on which stream, and the exit
//! code.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

#[path = "../../../lifecycle/tests/it/fake.rs"]
mod fake;

mod connect;
mod create;
mod life;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fake::{FakeDriver, write_image};
use machine_cli::{Ui, World, run};
use machine_lifecycle::Capacity;
use tempfile::TempDir;

/// A user with a home of their own.
struct User {
    directory: TempDir,
    driver: Arc<FakeDriver>,
    variables: BTreeMap<String, String>,
}

impl User {
    fn new(driver: FakeDriver) -> Self {
        let directory = tempfile::tempdir().unwrap();
        write_image(&directory.path().join("image"));
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let variables = BTreeMap::from([
            ("MACHINE_STORAGE_PATH".to_owned(), path("store")),
            ("MACHINE_IMAGE_DIR".to_owned(), path("image")),
            ("SHELL".to_owned(), "/bin/bash".to_owned()),
        ]);
        Self { directory, driver: Arc::new(driver), variables }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With another driver, the machines stay.
    fn again(self, driver: FakeDriver) -> Self {
        Self { driver: Arc::new(driver), ..self }
    }

    /// Types a line. What appears, with everything that differs from run to run replaced.
    async fn types(&self, line: &str) -> String {
        let out = Arc::new(Mutex::new(Vec::<u8>::new()));
        let err = Arc::new(Mutex::new(Vec::<u8>::new()));
        let world = World {
            arguments: line.split(' ').map(str::to_owned).collect(),
            variables: self.variables.clone(),
            executable: self.directory.path().join("bin/machine"),
            driver: self.driver.clone(),
            capacity: |_| Capacity { cpus: 4, memory_mib: Some(4096), disk_mib: Some(100_000) },
            ui: Ui::of_sinks(out.clone(), err.clone()),
        };
        let code = run(world).await;
        let marked = |mark: &str, stream: &Mutex<Vec<u8>>| {
            let text = String::from_utf8(stream.lock().unwrap().clone()).unwrap();
            text.lines().map(|line| format!("{mark}{line}\n")).collect::<String>()
        };
        self.steady(&format!("{}{}exit {code}", marked("1| ", &out), marked("2| ", &err)))
    }

    fn steady(&self, text: &str) -> String {
        let mut text = text.replace(self.directory.path().to_str().unwrap(), "DIR");
        for vm in self.driver.started.lock().unwrap().iter() {
            text = text.replace(&vm.api_port.to_string(), "PORT");
        }
        text
    }

    fn left(&self) -> usize {
        std::fs::read_dir(self.directory.path().join("store/machines")).map_or(0, Iterator::count)
    }
}
