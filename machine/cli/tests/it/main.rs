//! Whole runs of the command with a fake driver: what the user sees on which stream, and the exit
//! code.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

#[path = "../../../lifecycle/tests/it/fake.rs"]
#[expect(dead_code, reason = "the tests of the lifecycle look at more of it")]
mod fake;

mod autostart;
mod certificates;
mod changing;
mod connect;
mod contexts;
mod create;
mod doctor;
mod environments;
mod life;
mod lists;
mod local_commands;
mod mistakes;
mod original;
mod shells;
mod ssh;
mod standing_still;
mod transfer;

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
        write_image(&directory.path().join("image"), "kernel");
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
        let (out, err, code) = self.runs(&line.split(' ').collect::<Vec<_>>()).await;
        let marked = |mark: &str, text: &str| {
            text.lines().map(|line| format!("{mark}{line}\n")).collect::<String>()
        };
        self.steady(&format!("{}{}exit {code}", marked("1| ", &out), marked("2| ", &err)))
    }

    /// Runs a command: what it says on stdout and on stderr as it is, and its exit code.
    async fn runs(&self, arguments: &[&str]) -> (String, String, u8) {
        let out = Arc::new(Mutex::new(Vec::<u8>::new()));
        let err = Arc::new(Mutex::new(Vec::<u8>::new()));
        let code = run(self.world(arguments, Ui::of_sinks(out.clone(), err.clone()))).await;
        let text = |stream: &Mutex<Vec<u8>>| String::from_utf8(stream.lock().unwrap().clone());
        (text(&out).unwrap(), text(&err).unwrap(), code)
    }

    fn world(&self, arguments: &[&str], ui: Ui) -> World {
        World {
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            variables: self.variables.clone(),
            executable: self.directory.path().join("bin/machine"),
            driver: self.driver.clone(),
            capacity: |_| Capacity { cpus: 4, memory_mib: Some(4096), disk_mib: Some(100_000) },
            ui,
        }
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
