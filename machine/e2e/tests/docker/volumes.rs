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
    ("a_volume_can_be_a_file_system_of_its_own", file_system),
    ("an_image_can_be_mounted_and_stays_for_who_mounts_it", image),
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

fn file_system(on: &Fixture) -> Result<()> {
    let create = |name: &str, options: &[&str]| {
        let options = options.iter().flat_map(|option| ["--opt", *option]);
        let words = ["volume", "create"].into_iter().chain(options).chain([name]);
        on.docker(words.collect::<Vec<_>>()).run()
    };
    create("memory", &["type=tmpfs", "device=tmpfs", "o=size=1m,mode=0711"])?.ok()?;
    on.text(&["run", "-d", "--name", "first", "-v", "memory:/data", "busybox", "sleep", "1000"])?;
    let seen = on.inside(&["-v", "memory:/data"], &["sh", "-c", "df /data; echo x >/data/file"])?;
    ensure!(seen.contains(" 1024 "), "{seen}");
    ensure!(on.text(&["exec", "first", "cat", "/data/file"])? == "x", "one for both");
    on.text(&["rm", "-f", "first"])?;
    let left = on.inside(&["-v", "memory:/data"], &["ls", "/data"])?;
    ensure!(left.is_empty(), "memory that nobody uses is given back: {left}");
    create("bound", &["type=none", "device=/tmp", "o=bind"])?.ok()?;
    on.inside(&["-v", "bound:/data"], &["touch", "/data/of-the-guest"])?;
    on.inside(&["-v", "/tmp:/tmp"], &["rm", "/tmp/of-the-guest"])?;
    create("away", &["type=nfs", "device=:/x", "o=addr=127.0.0.1"])?.ok()?;
    let ran = on.docker(["run", "--rm", "-v", "away:/data", "busybox", "true"]).run()?;
    ran.code(125)?.says("failed to mount local volume: mount :/x:")?;
    create("limited", &["size=1m"])?.code(1)?.says("quota size requested but no quota support")?;
    on.text(&["volume", "rm", "memory", "bound", "away"]).map(drop)
}

fn tmpfs(on: &Fixture) -> Result<()> {
    let seen = on.inside(
        &["--tmpfs", "/scratch:size=1m"],
        &["sh", "-c", "touch /scratch/x; mount | grep /scratch"],
    )?;
    ensure!(seen.contains("tmpfs") && seen.contains("size=1024k"), "{seen}");
    Ok(())
}

fn image(on: &Fixture) -> Result<()> {
    on.text(&["tag", "busybox", "mounted:1"])?;
    let whole = "type=image,src=mounted:1,dst=/tool";
    let script = "/tool/bin/busybox echo runs; (echo >/tool/x) 2>&1; true";
    let seen = on.inside(&["--mount", whole], &["sh", "-c", script])?;
    ensure!(seen.starts_with("runs\n") && seen.contains("Read-only file system"), "{seen}");
    let part = format!("{whole},image-subpath=bin");
    ensure!(!on.inside(&["--mount", &part], &["ls", "/tool/busybox"])?.is_empty());
    let absent = format!("{whole},image-subpath=absent");
    let ran = on.docker(["run", "--rm", "--mount", &absent, "busybox", "true"]).run()?;
    ran.code(127)?.says("cannot access path ")?;

    let mount = ["--mount", whole];
    let words = [&["run", "-d", "--name", "user"], &mount[..], &["busybox", "sleep", "1000"]];
    let id = on.text(&words.concat())?;
    let shown = "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{end}}";
    let shown = on.text(&["inspect", "-f", shown, "user"])?;
    ensure!(shown == "image mounted:1 /tool false", "{shown}");
    let copied = on.docker(["cp", "user:/tool/bin/busybox", "-"]).run()?;
    ensure!(copied.code == 0 && !copied.stdout.is_empty(), "a copy sees the image");
    on.text(&["rm", "-f", "user"])?;
    on.text(&["rmi", "mounted:1"])?;
    let guest = ["--privileged", "--pid=host"];
    let script = format!("grep -c {id} /proc/1/mounts; true");
    let left = on.inside(&guest, &["sh", "-c", &script])?;
    ensure!(left == "0", "nothing stays mounted: {left}");

    // An image of its own: no other name keeps its layers.
    let root = machine_e2e::archive::busybox_root()?;
    on.docker(["import", "-", "alone:1"]).run_with(&root)?.ok()?;
    let alone = "type=image,src=alone:1,dst=/tool";
    let command = ["busybox", "/tool/bin/busybox", "echo", "still"];
    on.text(&[&["create", "--name", "user", "--mount", alone], &command[..]].concat())?;
    on.docker(["rmi", "alone:1"]).run()?.code(1)?.says("is using its referenced image")?;
    on.text(&["rmi", "-f", "alone:1"])?;
    for _ in 0..2 {
        ensure!(on.text(&["start", "-a", "user"])? == "still");
    }
    on.text(&["rm", "user"]).map(drop)
}
