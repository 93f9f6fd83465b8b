//! One machine with a busybox image.

use std::process::Command;
use std::sync::Mutex;

use anyhow::{Result, ensure};
use machine_e2e::{Machine, Run, archive};
use serde_json::{Value, json};

pub(crate) struct Fixture {
    pub(crate) machine: Machine,
    /// An engine refuses a second prune while one runs.
    pub(crate) prunes: Mutex<()>,
}

impl Fixture {
    pub(crate) fn new() -> Result<Self> {
        Self::with("docker", "1024")
    }

    /// A machine of one's own, with this many MiB of memory.
    pub(crate) fn with(name: &str, memory: &str) -> Result<Self> {
        let machine = Machine::create(name, &["--memory", memory])?;
        let image = archive::docker_archive(
            "busybox:latest",
            json!({"Cmd": ["sh"], "Env": ["PATH=/bin"]}),
            &[archive::busybox_root()?],
        )?;
        let loaded = machine.docker(["load"]).run_with(&image)?;
        ensure!(loaded.text()?.contains("Loaded image: busybox:latest"), "{loaded}");
        Ok(Self { machine, prunes: Mutex::default() })
    }

    /// Debian forky's docker command.
    pub(crate) fn docker<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
        self.machine.docker(words)
    }

    /// Runs it to its end and returns its standard output; fails unless it succeeded.
    pub(crate) fn text(&self, words: &[&str]) -> Result<String> {
        self.docker(words.iter().copied()).run()?.text()
    }

    /// `docker run --rm busybox …`: its standard output.
    pub(crate) fn inside(&self, flags: &[&str], words: &[&str]) -> Result<String> {
        self.text(&[&["run", "--rm"], flags, &["busybox"], words].concat())
    }

    /// `docker inspect` of a container.
    pub(crate) fn inspect(&self, name: &str) -> Result<Value> {
        let text = self.text(&["inspect", name])?;
        Ok(serde_json::from_str::<Value>(&text)?[0].take())
    }
}
