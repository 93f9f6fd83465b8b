//! Files in and out of containers: cp, diff, export, commit, and what takes how much space.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use machine_e2e::{Check, Run};
use serde_json::{Value, json};

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("files_are_copied_both_ways", both_ways),
    ("a_stopped_and_a_paused_container_have_files_too", not_running),
    ("a_copy_goes_through_volumes_binds_and_links", through_mounts),
    ("what_is_read_only_is_not_copied_into", read_only),
    ("what_docker_cp_says_is_what_it_means", wrong_ways),
    ("a_container_can_be_started_while_it_is_copied_from", start_meanwhile),
    ("a_swapped_link_leads_nowhere_outside", swapped_links),
    ("a_diff_lists_what_was_changed", diff),
    ("an_export_can_be_imported_and_runs", export),
    ("a_committed_container_runs_as_an_image", commit),
    ("disk_usage_adds_up", disk_usage),
    ("a_container_knows_that_it_is_one", skeleton),
];

/// A container that is removed at the end, however the check ends.
struct Container<'a> {
    on: &'a Fixture,
    name: &'static str,
}

impl<'a> Container<'a> {
    fn run(on: &'a Fixture, name: &'static str, flags: &[&str], script: &str) -> Result<Self> {
        let words = [&["run", "-d", "--name", name], flags, &["busybox", "sh", "-c", script]];
        on.text(&words.concat())?;
        Ok(Self { on, name })
    }

    fn sleeping(on: &'a Fixture, name: &'static str, flags: &[&str]) -> Result<Self> {
        Self::run(on, name, flags, "trap exit TERM; while :; do sleep 1; done")
    }

    fn exec(&self, script: &str) -> Result<String> {
        self.on.text(&["exec", self.name, "sh", "-c", script])
    }

    fn path(&self, path: &str) -> String {
        format!("{}:{path}", self.name)
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        self.on.docker(["rm", "-f", "-v", self.name]).run().ok();
    }
}

fn cp(on: &Fixture, from: &str, to: &str) -> Result<()> {
    on.text(&["cp", "-q", from, to]).map(drop)
}

fn both_ways(on: &Fixture) -> Result<()> {
    let inside = Container::sleeping(on, "cp-both", &[])?;
    let folder = tempfile::tempdir()?;
    let local = |name: &str| folder.path().join(name).display().to_string();
    fs::create_dir_all(folder.path().join("tree/sub"))?;
    fs::write(folder.path().join("tree/sub/file"), "content")?;
    std::os::unix::fs::symlink("sub/file", folder.path().join("tree/link"))?;
    cp(on, &local("tree"), &inside.path("/tmp"))?;
    ensure!(inside.exec("cat /tmp/tree/link; ls -l /tmp/tree/link")?.contains("-> sub/file"));
    cp(on, &local("tree/."), &inside.path("/made"))?;
    ensure!(inside.exec("cat /made/sub/file")? == "content");
    cp(on, &local("tree/sub/file"), &inside.path("/tmp/renamed"))?;
    ensure!(inside.exec("cat /tmp/renamed")? == "content");

    inside.exec(
        "echo out >/tmp/tree/new; ln /tmp/tree/new /tmp/tree/hard; chmod 4755 /tmp/tree/new",
    )?;
    cp(on, &inside.path("/tmp/tree"), &local("back"))?;
    ensure!(fs::read_to_string(folder.path().join("back/hard"))? == "out\n");
    ensure!(fs::read_link(folder.path().join("back/link"))? == std::path::Path::new("sub/file"));
    cp(on, &inside.path("/tmp/tree/link"), &local("a-link"))?;
    ensure!(fs::symlink_metadata(folder.path().join("a-link"))?.is_symlink());
    on.text(&["cp", "-q", "-L", &inside.path("/tmp/tree/link"), &local("followed")])?;
    ensure!(fs::read_to_string(folder.path().join("followed"))? == "content");

    let tar = on.docker(["cp", &inside.path("/tmp/tree/."), "-"]).output()?;
    ensure!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    inside.exec("mkdir /tmp/again")?;
    on.docker(["cp", "-", &inside.path("/tmp/again")]).run_with(&tar.stdout)?.ok()?;
    ensure!(inside.exec("cat /tmp/again/sub/file /tmp/again/hard")? == "contentout");
    Ok(())
}

fn not_running(on: &Fixture) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let local = folder.path().join("file").display().to_string();
    fs::write(&local, "1")?;
    on.text(&["create", "--name", "cp-new", "busybox", "cat", "/tmp/file"])?;
    let created = Container { on, name: "cp-new" };
    cp(on, &local, &created.path("/tmp/file"))?;
    ensure!(on.text(&["start", "-a", "cp-new"])? == "1");
    let back = folder.path().join("back").display().to_string();
    cp(on, &created.path("/tmp/file"), &back)?;
    ensure!(fs::read_to_string(&back)? == "1");

    let paused = Container::sleeping(on, "cp-paused", &[])?;
    on.text(&["pause", "cp-paused"])?;
    cp(on, &local, &paused.path("/tmp/file"))?;
    cp(on, &paused.path("/tmp/file"), &back)?;
    on.text(&["unpause", "cp-paused"])?;
    ensure!(paused.exec("cat /tmp/file")? == "1");
    for (name, expected) in [("cp-new", "0"), ("cp-paused", "1")] {
        let id = on.text(&["inspect", "-f", "{{.Id}}", name])?;
        let count = format!("grep -c '/{id}/merged ' /proc/mounts || true");
        let mounted = on.machine.ssh([&*count]).run()?.text()?;
        ensure!(mounted == expected, "{name} has {mounted} file systems mounted");
    }
    Ok(())
}

fn through_mounts(on: &Fixture) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let local = folder.path().join("file").display().to_string();
    fs::write(&local, "moved")?;
    let flags = ["-v", "cp-vol:/vol", "-v", "/tmp/cp-bind:/bind", "--tmpfs", "/scratch"];
    let inside = Container::sleeping(on, "cp-mounts", &flags)?;
    inside.exec("ln -s /vol /absolute; ln -s vol relative; ln -s /vol/inner /dangling")?;
    for place in ["/vol/a", "/bind/b", "/absolute/c", "/relative/d", "/dangling"] {
        cp(on, &local, &inside.path(place))?;
    }
    let seen = inside.exec("cat /vol/a /bind/b /vol/c /vol/d /vol/inner; ls -l /dangling")?;
    ensure!(seen.starts_with("movedmovedmovedmovedmoved") && seen.contains("->"), "{seen}");
    // A tmpfs is the container's own.
    cp(on, &local, &inside.path("/scratch/e"))?;
    ensure!(inside.exec("ls /scratch")?.is_empty());
    on.text(&["stop", "-t", "1", "cp-mounts"])?;
    let back = folder.path().join("back").display().to_string();
    cp(on, &inside.path("/absolute/a"), &back)?;
    ensure!(fs::read_to_string(&back)? == "moved");
    cp(on, &inside.path("/etc/hostname"), &back)?;
    let id = on.text(&["inspect", "-f", "{{.Config.Hostname}}", "cp-mounts"])?;
    ensure!(fs::read_to_string(&back)?.trim() == id);
    drop(inside);
    on.text(&["volume", "rm", "cp-vol"]).map(drop)
}

fn read_only(on: &Fixture) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let local = folder.path().join("file").display().to_string();
    fs::write(&local, "")?;
    let flags = ["--read-only", "-v", "cp-ro:/ro:ro", "-v", "cp-rw:/rw"];
    let inside = Container::sleeping(on, "cp-readonly", &flags)?;
    let try_to = |place: &str| on.docker(["cp", &local, &inside.path(place)]).run();
    try_to("/tmp/x")?.code(1)?.says("container rootfs is marked read-only")?;
    try_to("/ro/x")?.code(1)?.says("mounted volume is marked read-only")?;
    try_to("/rw/x")?.ok()?;
    drop(inside);
    on.text(&["volume", "rm", "cp-ro", "cp-rw"]).map(drop)
}

fn wrong_ways(on: &Fixture) -> Result<()> {
    let inside = Container::sleeping(on, "cp-wrong", &[])?;
    let folder = tempfile::tempdir()?;
    let local = folder.path().display().to_string();
    let missing = on.docker(["cp", &inside.path("/no/such"), &local]).run()?;
    missing.code(1)?.says("Could not find the file /no/such in container cp-wrong")?;
    inside.exec("mkdir /tmp/d; touch /tmp/f")?;
    on.docker(["cp", &local, &inside.path("/tmp/f")]).run()?.code(1)?.says("directory")?;
    on.docker(["cp", &inside.path("/etc/passwd/"), &local])
        .run()?
        .code(1)?
        .says("not a directory")?;
    fs::write(folder.path().join("d"), "")?;
    let file = folder.path().join("d").display().to_string();
    let tar = Command::new("tar").args(["-C", &local, "-c", "d"]).output()?.stdout;
    let refused = on.docker(["cp", "-", &inside.path("/tmp")]).run_with(&tar)?;
    refused.code(1)?.says("cannot overwrite directory \"/tmp/d\" with non-directory \"/tmp\"")?;
    cp(on, &file, &inside.path("/tmp/d"))?;
    ensure!(inside.exec("ls /tmp/d")? == "d");
    Ok(())
}

/// A client that takes its time must not keep the container from starting, and both must see the
/// same files.
fn start_meanwhile(on: &Fixture) -> Result<()> {
    let made =
        Container::run(on, "cp-slow", &[], "dd if=/dev/zero of=/big bs=1M count=64 2>/dev/null")?;
    on.text(&["wait", "cp-slow"])?;
    let mut slow =
        on.docker(["cp", &made.path("/big"), "-"]).stdout(std::process::Stdio::piped()).spawn()?;
    let mut first = [0; 512];
    let mut stream = slow.stdout.take().context("no output")?;
    std::io::Read::read_exact(&mut stream, &mut first)?;
    on.text(&["start", "cp-slow"])?;
    let ended = on.text(&["wait", "cp-slow"])?;
    ensure!(ended == "0", "{ended}");
    drop(stream);
    slow.wait()?;
    on.text(&["start", "-a", "cp-slow"]).map(drop)
}

fn swapped_links(on: &Fixture) -> Result<()> {
    let sentinel = "/run/cp-sentinel";
    on.machine
        .ssh([format!("mkdir -p {sentinel}; echo secret >{sentinel}/file").as_str()])
        .run()?
        .ok()?;
    let script = format!(
        "mkdir -p /a/real; echo plain >/a/real/file; ln -s {sentinel} /a/link
         while :; do mv /a/real /a/t; mv /a/link /a/real; mv /a/real /a/link; mv /a/t /a/real; done"
    );
    let racing = Container::run(on, "cp-race", &[], &script)?;
    let folder = tempfile::tempdir()?;
    let evil = folder.path().join("file").display().to_string();
    fs::write(&evil, "evil")?;
    let out = folder.path().join("out").display().to_string();
    for _ in 0..25 {
        // Whether it succeeds is up to the moment.
        on.docker(["cp", &evil, &racing.path("/a/real/file")]).run()?;
        if on.docker(["cp", &racing.path("/a/real/file"), &out]).run()?.code == 0 {
            ensure!(!fs::read_to_string(&out)?.contains("secret"), "the guest's file was read");
        }
    }
    let kept =
        on.machine.ssh([format!("cat {sentinel}/file; ls {sentinel}").as_str()]).run()?.text()?;
    ensure!(kept == "secret\nfile", "{kept}");
    Ok(())
}

fn diff(on: &Fixture) -> Result<()> {
    let script = "echo x >>/etc/passwd; rm /etc/group; mkdir -p /new/in; touch /new/in/f; rm -rf /root; mkdir /root";
    let made = Container::run(on, "diffed", &["-v", "/vol"], script)?;
    ensure!(on.text(&["wait", made.name])? == "0");
    let seen = on.text(&["diff", "diffed"])?;
    let lines: Vec<&str> = seen.lines().collect();
    for line in ["C /etc", "C /etc/passwd", "D /etc/group", "A /new", "A /new/in", "A /new/in/f"] {
        ensure!(lines.contains(&line), "{line}: {seen}");
    }
    for absent in ["/.dockerenv", "/etc/hosts", "/proc", "/dev"] {
        ensure!(!lines.iter().any(|line| line.ends_with(absent)), "{absent}: {seen}");
    }
    let untouched = Container::run(on, "undiffed", &[], "true")?;
    on.text(&["wait", untouched.name])?;
    let seen = on.text(&["diff", untouched.name])?;
    ensure!(seen.is_empty(), "{seen}");
    Ok(())
}

fn export(on: &Fixture) -> Result<()> {
    let made =
        Container::run(on, "exported", &["-v", "/vol"], "echo mine >/mine; echo v >/vol/file")?;
    on.text(&["wait", made.name])?;
    let tar = on.docker(["export", made.name]).output()?;
    ensure!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    on.docker(["import", "-", "reimported:1"]).run_with(&tar.stdout)?.ok()?;
    let seen = on.text(&["run", "--rm", "reimported:1", "/bin/sh", "-c", "cat /mine; ls /vol"])?;
    ensure!(seen == "mine", "{seen}");
    on.text(&["rmi", "reimported:1"]).map(drop)
}

fn commit(on: &Fixture) -> Result<()> {
    let made = Container::run(
        on,
        "committed",
        &["-e", "A=1", "-v", "/vol"],
        "echo mine >/mine; rm /etc/group; trap exit TERM; while :; do sleep 1; done",
    )?;
    machine_e2e::eventually("the container has done its work", || {
        Ok(made.exec("test -e /mine -a ! -e /etc/group && echo done").is_ok())
    })?;
    let flags = ["commit", "-a", "me", "-m", "why", "-c", "CMD [\"cat\", \"/mine\"]"];
    let id = on.text(&[&flags[..], &["-c", "LABEL l=v", made.name, "made:1"]].concat())?;
    ensure!(on.text(&["inspect", "-f", "{{.State.Status}}", made.name])? == "running");
    ensure!(on.text(&["run", "--rm", "made:1"])? == "mine");
    let script = "test ! -e /etc/group && echo $A";
    ensure!(on.text(&["run", "--rm", "made:1", "sh", "-c", script])? == "1");
    let image: Value = serde_json::from_str(&on.text(&["image", "inspect", "made:1"])?)?;
    let image = &image[0];
    ensure!(image["Id"] == json!(id), "{image}");
    ensure!(image["Author"] == "me" && image["Comment"] == "why", "{image}");
    ensure!(image["Config"]["Labels"]["l"] == "v", "{image}");
    ensure!(image["RootFS"]["Layers"].as_array().map(Vec::len) == Some(2), "{image}");
    let base = on.text(&["images", "-q", "--no-trunc", "busybox"])?;
    ensure!(image["Parent"] == json!(base), "{image}");
    let history = on.text(&["history", "--format", "{{.Comment}}", "made:1"])?;
    ensure!(history.lines().next() == Some("why"), "{history}");
    // What was saved is what was made: the digests are checked by the load.
    let saved = on.docker(["save", "made:1"]).output()?.stdout;
    on.text(&["rmi", "made:1"])?;
    on.docker(["load"]).run_with(&saved)?.ok()?;
    ensure!(on.text(&["run", "--rm", "made:1"])? == "mine");
    on.text(&["rmi", "made:1"]).map(drop)
}

fn disk_usage(on: &Fixture) -> Result<()> {
    let made = Container::run(
        on,
        "measured",
        &["-v", "measured:/vol"],
        "head -c 1000 /dev/zero >/vol/f; head -c 500 /dev/zero >/f",
    )?;
    on.text(&["wait", made.name])?;
    let size =
        on.text(&["ps", "-a", "--size", "--filter", "name=measured", "--format", "{{.Size}}"])?;
    ensure!(size.starts_with("500B (virtual "), "{size}");
    let format = "{{range .Volumes}}{{.Name}} {{.Size}} {{.Links}}\n{{end}}";
    let volumes = on.text(&["system", "df", "-v", "--format", format])?;
    ensure!(volumes.lines().any(|line| line == "measured 1kB 1"), "{volumes}");
    let kinds = on.text(&["system", "df", "--format", "{{.Type}} {{.TotalCount}}"])?;
    ensure!(kinds.contains("Images ") && kinds.contains("Build Cache 0"), "{kinds}");
    drop(made);
    on.text(&["volume", "rm", "measured"]).map(drop)
}

fn skeleton(on: &Fixture) -> Result<()> {
    on.inside(&[], &["test", "-e", "/.dockerenv"])?;
    let target = on.inside(&[], &["readlink", "/etc/mtab"])?;
    ensure!(target == "/proc/mounts", "{target}");
    Ok(())
}
