//! Memory and disk that the guest no longer needs, given back; the clock; a larger disk.

use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context, Result, ensure};
use machine_e2e::{Check, Machine, Run, eventually};

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("memory_that_is_free_returns_to_the_host", memory),
    ("disk_that_is_free_returns_to_the_host", disk),
    ("the_disk_grows_while_the_machine_runs", grown),
];

const MIB: u64 = 1024 * 1024;

/// What QEMU has in memory, in MiB.
fn resident(on: &Machine) -> Result<u64> {
    let record = std::fs::read_to_string(on.directory().join("vm.json"))?;
    let record: serde_json::Value = serde_json::from_str(&record)?;
    let pid = record["qemu"]["pid"].as_u64().context("no pid")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("no number")?.parse::<u64>()? / 1024)
}

fn memory(on: &Machine) -> Result<()> {
    let before = resident(on)?;
    let script = "dd if=/dev/zero of=/big/file bs=1M count=300 2>/dev/null; echo full; cat";
    let words = ["run", "-d", "-i", "--name", "eats", "--tmpfs", "/big:size=400m", "busybox"];
    on.docker(words.into_iter().chain(["sh", "-c", script])).run()?.ok()?;
    eventually("it has eaten", || Ok(on.docker(["logs", "eats"]).run()?.stdout.contains("full")))?;
    let full = resident(on)?;
    ensure!(full >= before + 200, "{before} MiB before, {full} MiB with the container");
    on.docker(["rm", "-f", "eats"]).run()?.ok()?;
    eventually("memory has returned", || Ok(resident(on)? < before + 150))
}

/// What the disk takes of the host's, in MiB.
fn allocated(on: &Machine) -> Result<u64> {
    Ok(on.directory().join("disk.qcow2").metadata()?.blocks() * 512 / MIB)
}

fn disk(on: &Machine) -> Result<()> {
    on.ssh(["sync"]).run()?.ok()?;
    let before = allocated(on)?;
    let script = "dd if=/dev/urandom of=/v/file bs=1M count=150 2>/dev/null; sync";
    let words = ["run", "--rm", "-v", "big:/v", "busybox", "sh", "-c", script];
    on.docker(words).run()?.ok()?;
    let full = allocated(on)?;
    ensure!(full >= before + 140, "{before} MiB before, {full} MiB with the volume");
    on.docker(["volume", "rm", "big"]).run()?.ok()?;
    eventually("the disk has shrunk", || {
        on.ssh(["sync"]).run()?.ok()?;
        Ok(allocated(on)? < before + 40)
    })
}

/// The size of the data file system as the guest sees it, in MiB.
pub(crate) fn file_system(on: &Machine) -> Result<u64> {
    let listed = on.ssh(["df", "-m", "/var/lib/docker"]).run()?.text()?;
    let size = listed.lines().last().and_then(|line| line.split_whitespace().nth(1));
    size.with_context(|| listed.clone())?.parse().context("no size")
}

fn grown(on: &Machine) -> Result<()> {
    let before = file_system(on)?;
    let script = "while :; do sleep 1; done";
    let words = ["run", "-d", "--name", "stays", "busybox", "sh", "-c", script];
    on.docker(words).run()?.ok()?;
    on.host.machine().args(["set", "dev", "--disk", "30GB"]).run()?.ok()?;
    let after = file_system(on)?;
    ensure!(after > before + 8000, "{before} MiB before, {after} MiB after");
    let running = on.docker(["inspect", "-f", "{{.State.Running}}", "stays"]).run()?.text()?;
    ensure!(running == "true");
    on.docker(["rm", "-f", "stays"]).run()?.ok()?;
    let smaller = on.host.machine().args(["set", "dev", "--disk", "10GB"]).run()?;
    ensure!(smaller.code != 0, "{smaller}");
    ensure!(file_system(on)? == after);
    Ok(())
}
