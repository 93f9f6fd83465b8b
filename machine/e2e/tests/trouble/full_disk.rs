//! A data disk without a free byte: what makes room still works, and nothing else does harm.

use anyhow::{Result, ensure};
use machine_e2e::kept::Kept;
use machine_e2e::registry::Registry;
use machine_e2e::{Check, Machine, Run, archive};
use serde_json::json;

pub(crate) const CHECKS: &[Check<Machine>] = &[("a_full_disk_can_be_made_room_on", full_disk)];

/// Takes all that a container can take: a piece to give back, large pieces, then what is left; then
/// waits.
const FILL: &str = "busybox fallocate -l 4194304 /fill/spare; n=0; for size in 1073741824 67108864 4194304 262144 16384; do \
    while busybox fallocate -l $size /fill/$n 2>/dev/null; do n=$((n+1)); done; done; \
    while echo x >/fill/rest.$n 2>/dev/null && [ -s /fill/rest.$n ]; do n=$((n+1)); done; \
    echo full; while :; do sleep 1; done";

fn full_disk(_: &Machine) -> Result<()> {
    // One hundredth of it is kept back.
    let on = &Machine::create("full", &["--disk-size", "5GB", "--memory", "512"])?;
    let root = archive::busybox_root()?;
    on.docker(["import", "-", "busybox"]).run_with(&root)?.ok()?;
    let run = |name: &str, script: &str| {
        let words = ["run", "-d", "--name", name, "busybox", "/bin/sh", "-c", script];
        on.docker(words).run()?.ok()
    };
    run("waits", "while :; do echo here; sleep 1; done")?;
    on.docker(["create", "--name", "never", "busybox", "/bin/true"]).run()?.ok()?;
    let words = ["run", "-d", "--name", "fills", "-v", "fill:/fill", "--log-driver", "none"];
    on.docker(words.into_iter().chain(["busybox", "/bin/sh", "-c", FILL])).run()?.ok()?;
    let disk = || on.ssh(["df", "/var/lib/docker"]).run()?.text();
    machine_e2e::eventually("the disk is full", || Ok(disk()?.contains("100%")))?;
    machine_e2e::eventually("no byte is left", || {
        let words = ["exec", "fills", "/bin/sh", "-c", "echo x >/fill/last && test -s /fill/last"];
        Ok(on.docker(words).run()?.code != 0)
    })?;

    // Nothing new is made, and none of it is listed.
    let listed = || on.docker(["ps", "-a", "--format", "{{.Names}}"]).run()?.text();
    let before = listed()?;
    let refused = on.docker(["create", "--name", "more", "busybox", "/bin/true"]).run()?;
    ensure!(
        refused.code != 0 && refused.stderr.to_lowercase().contains("no space left"),
        "{refused}"
    );
    let images = || on.docker(["images", "-aq"]).run()?.text();
    let known = images()?;
    let large = archive::layer(&[("large", &vec![b'x'; 80 << 20])])?;
    let refused = on.docker(["import", "-", "large"]).run_with(&large)?;
    ensure!(
        refused.code != 0 && refused.stderr.to_lowercase().contains("no space left"),
        "{refused}"
    );
    drop(large);
    ensure!(images()? == known && listed()? == before, "something half-made is listed");
    too_large(on)?;
    ensure!(images()? == known, "something half-made is listed");

    // What runs goes on, and what makes room works.
    on.docker(["exec", "waits", "/bin/true"]).run()?.ok()?;
    on.docker(["stop", "-t", "0", "waits"]).run()?.ok()?;
    on.docker(["start", "waits"]).run()?.ok()?;
    on.docker(["kill", "waits"]).run()?.ok()?;
    on.docker(["rm", "waits", "never"]).run()?.ok()?;
    on.docker(["stop", "-t", "0", "fills"]).run()?.ok()?;
    on.docker(["rm", "fills"]).run()?.ok()?;
    let pruned = on.docker(["volume", "prune", "-af"]).run()?.text()?;
    ensure!(pruned.contains("fill"), "{pruned}");
    ensure!(!disk()?.contains("100%"), "no room was made");
    on.docker(["run", "--rm", "busybox", "/bin/true"]).run()?.ok()
}

/// An image that comes small and is larger than what is left: the disk is full in the middle of it.
fn too_large(on: &Machine) -> Result<()> {
    on.docker(["exec", "fills", "/bin/rm", "/fill/spare"]).run()?.ok()?;
    let registry = Registry::open()?;
    let _way = registry.reach(on)?;
    let layers = [archive::layer(&[("large", &vec![b'x'; 16 << 20])])?];
    registry.put_image("large", "1", &json!({}), &layers)?;
    let before = Kept::on(on)?;
    let full = |ran: machine_e2e::Finished| {
        let told = ran.stderr.to_lowercase().contains("no space left");
        ensure!(ran.code != 0 && told, "{ran}");
        before.is_all(on)
    };
    full(on.docker(["pull", &format!("{}/large:1", registry.host)]).run()?)?;
    let image = archive::gzip(&archive::docker_archive("large:1", json!({}), &layers)?)?;
    full(on.docker(["load"]).run_with(&image)?)?;
    full(on.docker(["import", "-", "large"]).run_with(&archive::gzip(&layers[0])?)?)
}
