//! Volumes, binds and tmpfs.

use anyhow::{Result, ensure};
use machine_e2e::{Check, Run};

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("a_named_volume_keeps_its_content", named),
    ("a_named_volume_begins_with_the_images_content", copy_up),
    ("an_anonymous_volume_goes_with_rm", anonymous),
    ("a_volume_can_be_read_only", read_only),
    ("a_volume_in_use_is_not_removed", in_use),
    ("a_tmpfs_is_empty_and_writable", tmpfs),
];

fn named(on: &Fixture) -> Result<()> {
    on.inside(&["-v", "keep:/data"], &["sh", "-c", "echo kept >/data/file"])?;
    let seen = on.inside(&["-v", "keep:/elsewhere"], &["cat", "/elsewhere/file"])?;
    ensure!(seen == "kept", "{seen}");
    ensure!(on.text(&["volume", "ls", "-q"])?.lines().any(|name| name == "keep"));
    let place = on.text(&["volume", "inspect", "-f", "{{.Driver}} {{.Mountpoint}}", "keep"])?;
    ensure!(place == "local /var/lib/docker/volumes/keep/_data", "{place}");
    on.text(&["volume", "rm", "keep"]).map(drop)
}

fn copy_up(on: &Fixture) -> Result<()> {
    let seen = on.inside(&["-v", "filled:/etc"], &["ls", "/etc"])?;
    ensure!(seen.contains("passwd"), "{seen}");
    on.text(&["volume", "rm", "filled"]).map(drop)
}

fn anonymous(on: &Fixture) -> Result<()> {
    let id = on.text(&["create", "--rm", "-v", "/data", "busybox", "true"])?;
    let name = on.text(&["inspect", "-f", "{{(index .Mounts 0).Name}}", &id])?;
    on.text(&["volume", "inspect", &name])?;
    on.text(&["start", "-a", &id])?;
    machine_e2e::eventually("the volume is gone", || {
        Ok(on.docker(["volume", "inspect", &name]).run()?.code == 1)
    })
}

fn read_only(on: &Fixture) -> Result<()> {
    let ran =
        on.docker(["run", "--rm", "-v", "locked:/data:ro", "busybox", "touch", "/data/x"]).run()?;
    ran.code(1)?.says("Read-only file system")?;
    on.text(&["volume", "rm", "locked"]).map(drop)
}

fn in_use(on: &Fixture) -> Result<()> {
    on.text(&["create", "--name", "holder", "-v", "held:/data", "busybox"])?;
    on.docker(["volume", "rm", "held"]).run()?.code(1)?.says("volume is in use")?;
    on.text(&["rm", "holder"])?;
    on.text(&["volume", "rm", "held"]).map(drop)
}

fn tmpfs(on: &Fixture) -> Result<()> {
    let seen = on.inside(
        &["--tmpfs", "/scratch:size=1m"],
        &["sh", "-c", "touch /scratch/x; mount | grep /scratch"],
    )?;
    ensure!(seen.contains("tmpfs") && seen.contains("size=1024k"), "{seen}");
    Ok(())
}
