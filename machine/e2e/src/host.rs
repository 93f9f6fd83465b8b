//! What the tests run with: the built command, the guest image, the docker commands, and a storage
//! directory of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A place where machines live apart from the user's.
#[derive(Debug)]
pub struct Host {
    storage: TempDir,
    home: TempDir,
    machine: PathBuf,
}

impl Host {
    /// An empty one.
    pub fn new() -> Result<Self> {
        let machine = match std::env::var_os("MACHINE_TEST_COMMAND") {
            Some(path) => PathBuf::from(path),
            None => workspace().join("target/release/machine"),
        };
        anyhow::ensure!(machine.exists(), "{} is not built: run scripts/test", machine.display());
        let storage = tempfile::Builder::new().prefix("mt").tempdir().context("temp directory")?;
        let home = tempfile::Builder::new().prefix("mh").tempdir().context("temp directory")?;
        Ok(Self { storage, home, machine })
    }

    /// The `machine` command with this host's storage.
    pub fn machine(&self) -> Command {
        self.with_storage(Command::new(&self.machine))
    }

    /// The same program under another path, such as one that is called `docker-machine`.
    pub fn called(&self, path: &Path) -> Command {
        self.with_storage(Command::new(path))
    }

    /// A program that sees this host's machines, and none of the user's settings.
    pub fn with_storage(&self, mut command: Command) -> Command {
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let own = ["DOCKER_", "MACHINE_", "XDG_"];
            if own.iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        for kept in ["MACHINE_IMAGE_DIR", "MACHINE_QEMU_MACHINE"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command.env("MACHINE_STORAGE_PATH", self.storage.path()).env("HOME", self.home.path());
        command
    }

    /// The built command.
    pub fn program(&self) -> &Path {
        &self.machine
    }

    /// The home directory of this host's user.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the machines' files are.
    pub fn storage(&self) -> &Path {
        self.storage.path()
    }
}

/// Debian forky's docker command (28.5) and bookworm's (20.10), by release.
pub fn docker(release: &str) -> Result<PathBuf> {
    let printed = Command::new(workspace().join("scripts/fetch-docker"))
        .arg(release)
        .output()
        .context("scripts/fetch-docker")?;
    anyhow::ensure!(printed.status.success(), "no docker command of {release}");
    Ok(PathBuf::from(String::from_utf8(printed.stdout)?.trim()))
}

/// The top of the checkout.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}
