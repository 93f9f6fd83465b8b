//! One running machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::api::Place;
use crate::command::Run;
use crate::host::{Host, docker};

/// A machine with everything needed to talk to it. Removed when dropped.
#[derive(Debug)]
pub struct Machine {
    pub name: String,
    pub host: Host,
    /// What `machine env` says.
    environment: Vec<(String, String)>,
    docker: PathBuf,
    old_docker: PathBuf,
    config: tempfile::TempDir,
}

impl Machine {
    /// Creates one on a host of its own, with further flags of `machine create`.
    pub fn create(name: &str, flags: &[&str]) -> Result<Self> {
        Self::create_on(Host::new()?, name, flags)
    }

    /// Creates one on this host.
    pub fn create_on(host: Host, name: &str, flags: &[&str]) -> Result<Self> {
        host.machine().arg("create").args(flags).arg(name).run()?.ok()?;
        Self::attach(host, name)
    }

    /// One that was already created on this host.
    pub fn attach(host: Host, name: &str) -> Result<Self> {
        let mut machine = Self {
            name: name.to_owned(),
            host,
            environment: Vec::new(),
            docker: docker("forky")?,
            old_docker: docker("bookworm")?,
            config: tempfile::tempdir()?,
        };
        machine.read_environment()?;
        Ok(machine)
    }

    /// One that is stopped on this host: starts it first.
    pub fn attach_after_start(host: Host, name: &str) -> Result<Self> {
        host.machine().args(["start", name]).run()?.ok()?;
        Self::attach(host, name)
    }

    /// The process id of its supervisor.
    pub fn supervisor(&self) -> Result<String> {
        let listed = Command::new("pgrep").args(["-f", " supervise$"]).run()?.text()?;
        let directory = self.directory();
        let own = listed.lines().find(|pid| {
            std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == directory)
        });
        Ok(own.with_context(|| format!("no supervisor among {listed}"))?.to_owned())
    }

    /// Debian forky's docker command, set up with what `machine env` prints.
    pub fn docker<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        self.client(&self.docker, arguments)
    }

    /// Debian bookworm's.
    pub fn old_docker<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        self.client(&self.old_docker, arguments)
    }

    /// A program with the variables of `machine env` set.
    pub fn client<'a>(
        &self,
        program: impl AsRef<std::ffi::OsStr>,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("DOCKER_CONFIG", self.config.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// `machine ssh NAME -- COMMAND…`.
    pub fn ssh<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.host.machine();
        command.args(["ssh", &self.name, "--"]).args(words);
        command
    }

    /// A variable that `machine env` sets.
    pub fn variable(&self, name: &str) -> Result<&str> {
        let found = self.environment.iter().find(|(known, _)| known == name);
        Ok(&found.with_context(|| format!("machine env does not set {name}"))?.1)
    }

    /// The machine's own directory.
    pub fn directory(&self) -> PathBuf {
        self.host.storage().join("machines").join(&self.name)
    }

    /// Where the variables of `machine env` lead.
    pub fn api(&self) -> Result<Place> {
        let port = self.variable("DOCKER_HOST")?.rsplit(':').next().context("no port")?.parse()?;
        Place::with_certificates(port, Path::new(self.variable("DOCKER_CERT_PATH")?))
    }

    fn read_environment(&mut self) -> Result<()> {
        let lines = self.host.machine().args(["env", "--shell", "sh", &self.name]).run()?.text()?;
        self.environment = lines
            .lines()
            .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
            .collect();
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let console = std::fs::read_to_string(self.directory().join("console.log"));
        let removed = self.host.machine().args(["rm", "-f", "-y", &self.name]).run();
        if std::thread::panicking() || removed.is_err() {
            drop(console.map(|text| std::fs::write("/tmp/machine-e2e-console.log", text)));
        }
    }
}
