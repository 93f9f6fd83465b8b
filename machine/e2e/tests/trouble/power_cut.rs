//! Power that goes while containers are made, started, committed and removed.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use machine_e2e::{Check, Machine, Run, archive};
use serde_json::Value;

pub(crate) const CHECKS: &[Check<Machine>] =
    &[("after_a_power_cut_everything_that_is_listed_is_whole", power_cut)];

const CUTS: usize = 6;

/// What goes on when the power does.
const WORK: &str = "while :; do $0 create --name new busybox /bin/true; $0 start new; \
    $0 commit new made; $0 rm -f new; $0 rmi made; done";

fn power_cut(on: &Machine) -> Result<()> {
    let root = archive::busybox_root()?;
    on.docker(["import", "-", "busybox"]).run_with(&root)?.ok()?;
    on.docker(["create", "--name", "kept", "busybox", "/bin/true"]).run()?.ok()?;
    for cut in 0..CUTS {
        let docker = machine_e2e::host::docker("forky")?;
        let docker = docker.to_str().context("a path that is no text")?;
        let mut work = on.client("sh", ["-c", WORK, docker]);
        let mut work = work.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        // Each round some commands later, so that other moments are met.
        for _ in 0..=2 * cut {
            on.docker(["ps", "-a"]).run()?.ok()?;
        }
        pull_the_plug(on)?;
        // Before the machine is back: what is looked at then must stand still.
        work.kill()?;
        work.wait()?;
        start(on)?;
        whole(on).with_context(|| format!("after cut {cut}"))?;
    }
    on.docker(["rm", "kept"]).run()?.ok()
}

fn pull_the_plug(on: &Machine) -> Result<()> {
    let record: Value = serde_json::from_slice(&std::fs::read(on.directory().join("vm.json"))?)?;
    let pid = record["qemu"]["pid"].as_u64().context("no pid")?.to_string();
    Command::new("kill").args(["-9", &pid]).run()?.ok()
}

fn start(on: &Machine) -> Result<()> {
    machine_e2e::eventually("the machine is seen to be off", || {
        Ok(on.host.machine().args(["status", &on.name]).run()?.stdout.trim() == "Stopped")
    })?;
    on.host.machine().args(["start", &on.name]).run()?.ok()
}

fn whole(on: &Machine) -> Result<()> {
    let names = on.docker(["ps", "-a", "--format", "{{.Names}}"]).run()?.text()?;
    ensure!(names.lines().any(|name| name == "kept"), "{names}");
    for name in names.lines() {
        on.docker(["inspect", name]).run()?.ok()?;
        on.docker(["start", "-a", name]).run()?.ok()?;
    }
    let images = on.docker(["images", "--format", "{{.Repository}}"]).run()?.text()?;
    ensure!(images.lines().any(|name| name == "busybox"), "{images}");
    for image in images.lines().filter(|image| *image != "<none>") {
        on.docker(["run", "--rm", image, "/bin/true"]).run()?.ok()?;
    }
    let others = names.lines().filter(|name| *name != "kept");
    others.into_iter().try_for_each(|name| on.docker(["rm", "-f", name]).run()?.ok())?;
    let made = images.lines().any(|name| name == "made");
    if made { on.docker(["rmi", "made"]).run()?.ok() } else { Ok(()) }
}
