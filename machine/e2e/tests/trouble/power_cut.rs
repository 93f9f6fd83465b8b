//! Power that goes while containers are made, started, committed and removed, and images and volumes
//! come and go.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use machine_e2e::kept::Kept;
use machine_e2e::{Check, Machine, Run, archive};
use serde_json::{Value, json};

use crate::engine_killed::half_a_load;

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("after_a_power_cut_everything_that_is_listed_is_whole", power_cut),
    ("a_load_that_a_power_cut_ended_leaves_nothing", cut_while_loading),
];

const CUTS: usize = 6;

/// What goes on when the power does.
const WORK: &str = "while :; do $0 create --name new busybox /bin/true; $0 start new; \
    $0 commit new made; $0 rm -f new; $0 rmi made; done";
const MORE_WORK: &str = "while :; do $0 load -i $1; $0 volume create room; \
    $0 image prune -a -f --filter label=check=cut; $0 volume rm room; done";

fn power_cut(on: &Machine) -> Result<()> {
    let root = archive::busybox_root()?;
    on.docker(["import", "-", "busybox"]).run_with(&root)?.ok()?;
    on.docker(["create", "--name", "kept", "busybox", "/bin/true"]).run()?.ok()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("image.tar");
    let own = archive::layer(&[("own", &archive::noise(1 << 20)?)])?;
    let config = json!({"Labels": {"check": "cut"}});
    std::fs::write(&file, archive::docker_archive("cut:latest", config, &[root, own])?)?;
    let file = file.to_str().context("a path that is no text")?;
    let before = Kept::on(on)?;
    for cut in 0..CUTS {
        let docker = machine_e2e::host::docker("forky")?;
        let docker = docker.to_str().context("a path that is no text")?;
        let begin = |script: &str| {
            let mut work = on.client("sh", ["-c", script, docker, file]);
            work.stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        };
        let mut works = [begin(WORK)?, begin(MORE_WORK)?];
        // Each round some commands later, so that other moments are met.
        for _ in 0..=2 * cut {
            on.docker(["ps", "-a"]).run()?.ok()?;
        }
        pull_the_plug(on)?;
        // Before the machine is back: what is looked at then must stand still.
        for work in &mut works {
            work.kill()?;
            work.wait()?;
        }
        start(on)?;
        let looked = whole(on).and_then(|()| before.is_all(on));
        looked.with_context(|| format!("after cut {cut}"))?;
    }
    on.docker(["rm", "kept"]).run()?.ok()
}

/// The cut comes when half of the archive is there, and no other half.
fn cut_while_loading(on: &Machine) -> Result<()> {
    let before = Kept::on(on)?;
    let layer = archive::layer(&[("content", &archive::noise(4 << 20)?)])?;
    let image = archive::docker_archive("late:1", json!({}), &[layer])?;
    let mut load = half_a_load(on, &image)?;
    pull_the_plug(on)?;
    drop(load.stdin.take());
    load.wait()?;
    start(on)?;
    let listed = on.docker(["images", "-q", "late:1"]).run()?.text()?;
    ensure!(listed.is_empty(), "half an image is listed");
    before.is_all(on)?;
    on.docker(["load"]).run_with(&image)?.ok()?;
    on.docker(["rmi", "late:1"]).run()?.ok()?;
    before.is_all(on)
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
    let volumes = on.docker(["volume", "ls", "-q"]).run()?.text()?;
    for volume in volumes.lines() {
        let mount = format!("{volume}:/room");
        let words = ["run", "--rm", "-v", &mount, "busybox", "/bin/touch", "/room/file"];
        on.docker(words).run()?.ok()?;
    }

    let others = names.lines().filter(|name| *name != "kept");
    others.into_iter().try_for_each(|name| on.docker(["rm", "-f", name]).run()?.ok())?;
    if images.lines().any(|name| name == "made") {
        on.docker(["rmi", "made"]).run()?.ok()?;
    }
    on.docker(["image", "prune", "-a", "-f", "--filter", "label=check=cut"]).run()?.ok()?;
    volumes.lines().try_for_each(|volume| on.docker(["volume", "rm", volume]).run()?.ok())
}
