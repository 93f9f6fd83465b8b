//! What a machine keeps on its data disk.

use anyhow::{Context, Result, ensure};

use crate::{Machine, Run};

/// Names of layers, blobs and whatever is half-made, and how full the disk is.
const LOOK: &str = "
cd /var/lib/docker
find . -mindepth 1 -maxdepth 3 ! -path './containers/*' ! -path './lost+found*' | sort
df -k . | tail -n 1";

/// A database may have grown by some pages, and a journal or a log.
const TOLERATED_KIB: u64 = 2 * 1024;

/// What there was at one moment.
#[derive(Clone, Debug)]
pub struct Kept {
    names: Vec<String>,
    used_kib: u64,
}

impl Kept {
    pub fn on(machine: &Machine) -> Result<Self> {
        let text = machine.ssh([LOOK]).run()?.text()?;
        let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
        let disk = names.pop().context("no disk")?;
        let used = disk.split_whitespace().nth(2).context("no number")?;
        Ok(Self { names, used_kib: used.parse().with_context(|| disk.clone())? })
    }

    /// Waits until a machine has the same again: what is removed may go in the background.
    pub fn is_all(&self, machine: &Machine) -> Result<()> {
        let mut now = self.clone();
        let waited = crate::eventually("the disk is as it was", || {
            now = Self::on(machine)?;
            Ok(now.names == self.names && now.used_kib <= self.used_kib + TOLERATED_KIB)
        });
        let more: Vec<&String> =
            now.names.iter().filter(|name| !self.names.contains(name)).collect();
        let gone: Vec<&String> =
            self.names.iter().filter(|name| !now.names.contains(name)).collect();
        ensure!(
            waited.is_ok(),
            "left {more:?}, lost {gone:?}, {} KiB of before {}",
            now.used_kib,
            self.used_kib
        );
        Ok(())
    }
}
