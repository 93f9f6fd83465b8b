//! Images and users that mean harm: whatever they try, it fails or stays in the container.

use anyhow::{Result, ensure};
use machine_e2e::archive::{self, Entry};
use machine_e2e::{Check, Run};
use serde_json::json;

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("the_engines_program_cannot_be_run_from_inside", own_program),
    ("no_descriptor_of_the_guest_is_a_working_directory", working_directories),
    ("an_image_cannot_divert_what_is_mounted", diversions),
    ("links_in_an_image_lead_nowhere_outside", links),
    ("an_image_that_is_mounted_leads_nowhere_outside", mounted_links),
    ("a_user_is_who_the_number_says", users),
    ("files_of_users_do_not_hang_or_fill_the_engine", endless_files),
    ("kernel_settings_are_not_smuggled_in", settings),
    ("nothing_listens_where_every_network_reaches", abstract_sockets),
    ("what_tells_about_other_containers_is_masked", side_channels),
    ("a_volume_that_changes_under_the_mount_leads_nowhere", swapped_links),
];

/// An image of busybox with more on top.
fn image(on: &Fixture, name: &str, entries: &[(&str, Entry<'_>)]) -> Result<()> {
    let layers = [archive::busybox_root()?, archive::hostile_layer(entries)?];
    let config = json!({"Cmd": ["sh"], "Env": ["PATH=/bin"]});
    let image = archive::docker_archive(&format!("{name}:latest"), config, &layers)?;
    on.machine.docker(["load"]).run_with(&image)?.ok()
}

/// A look at the guest's own files.
fn guest(on: &Fixture, script: &str) -> Result<String> {
    on.inside(&["--privileged", "-v", "/:/guest"], &["sh", "-c", script])
}

fn own_program(on: &Fixture) -> Result<()> {
    image(on, "self", &[("evil", Entry::File("#!/proc/self/exe\n"))])?;
    let before = guest(on, "stat -L -c '%s %Y' /guest/proc/1/exe")?;
    let ran = on.docker(["run", "--rm", "self", "/evil"]).run()?;
    ensure!(ran.code != 0, "{ran}");
    let script = "for n in 1 2 3 4 5; do (echo x >/proc/1/exe) 2>&1; done; true";
    let seen = on.inside(&[], &["sh", "-c", script])?;
    ensure!(seen.contains("Text file busy"), "only its own program is there: {seen}");
    ensure!(guest(on, "stat -L -c '%s %Y' /guest/proc/1/exe")? == before);
    Ok(())
}

fn working_directories(on: &Fixture) -> Result<()> {
    on.text(&["run", "-d", "--name", "cwd", "busybox", "sleep", "1000"])?;
    for number in 3..12 {
        let directory = format!("/proc/self/fd/{number}");
        let words = ["run", "--rm", "-w", &directory, "busybox", "pwd"];
        ensure!(on.docker(words).run()?.code != 0, "{directory}");
        let words = ["exec", "-w", &directory, "cwd", "pwd"];
        ensure!(on.docker(words).run()?.code != 0, "{directory}");
    }
    on.text(&["rm", "-f", "cwd"]).map(drop)
}

fn diversions(on: &Fixture) -> Result<()> {
    for (number, path) in ["proc", "sys", "dev", "dev/shm", "sys/fs/cgroup"].iter().enumerate() {
        let name = format!("divert{number}");
        image(on, &name, &[(path, Entry::Link("/etc"))])?;
        let ran = on.docker(["run", "--rm", &name, "true"]).run()?;
        ensure!(ran.code != 0, "{path}: {ran}");
    }
    for target in ["/proc", "/proc/self", "/proc/sys/kernel"] {
        let volume = format!("divert:{target}");
        let ran = on.docker(["run", "--rm", "-v", &volume, "busybox", "true"]).run()?;
        ensure!(ran.code != 0, "{target}: {ran}");
    }
    on.text(&["volume", "rm", "divert"]).map(drop)
}

fn links(on: &Fixture) -> Result<()> {
    guest(on, "mkdir -p /guest/run/harm; echo safe >/guest/run/harm/file")?;
    let far = "../../../../../../../../run/harm";
    for (number, path) in ["etc/hosts", "etc/resolv.conf", "etc/hostname"].iter().enumerate() {
        let targets = [
            Entry::Link("/run/harm/file"),
            Entry::Link(far),
            Entry::Link("/nowhere/at/all"),
            Entry::Link("../loop"),
            Entry::Fifo,
        ];
        for (kind, entry) in targets.into_iter().enumerate() {
            let name = format!("links{number}{kind}");
            image(on, &name, &[(path, entry), ("loop", Entry::Link("loop"))])?;
            // It may fail, and if it runs it must be harmless.
            let script = format!("echo harm >>/{path}; echo harm >>/run/harm/file; true");
            on.docker(["run", "--rm", &name, "sh", "-c", &script]).run()?;
        }
    }
    for (number, path) in ["tmp", "etc", "work"].iter().enumerate() {
        let name = format!("folders{number}");
        image(on, &name, &[(path, Entry::Link(far))])?;
        let inside = format!("/{path}/a/b");
        let mount = format!("type=tmpfs,target={inside}");
        let words = ["run", "--rm", "--mount", &mount, "-w", &inside, &name, "pwd"];
        ensure!(
            on.docker(words).run()?.code == 0,
            "{path}: it is made where the link leads inside"
        );
    }
    let seen = guest(on, "cat /guest/run/harm/file; ls /guest/run/harm; rm -r /guest/run/harm")?;
    ensure!(seen == "safe\nfile", "{seen}");
    Ok(())
}

fn mounted_links(on: &Fixture) -> Result<()> {
    let far = "../../../../../../../../etc";
    let entries = [("absolute", Entry::Link("/etc")), ("far", Entry::Link(far))];
    image(on, "mountlinks", &[&entries[..], &[("loop", Entry::Link("loop"))]].concat())?;
    for (part, says) in [
        ("absolute", "path concatenation escapes the base directory"),
        ("far", "path concatenation escapes the base directory"),
        ("loop", ""),
    ] {
        let mount = format!("type=image,src=mountlinks,dst=/tool,image-subpath={part}");
        let ran = on.docker(["run", "--rm", "--mount", &mount, "busybox", "true"]).run()?;
        ensure!(ran.code != 0, "{part}: {ran}");
        ran.says(says)?;
    }
    Ok(())
}

fn users(on: &Fixture) -> Result<()> {
    let passwd = "root:x:0:0::/:/bin/sh\n1234:x:0:0::/:/bin/sh\n4294967296:x:0:0::/:/bin/sh\n";
    image(on, "users", &[("etc/passwd", Entry::File(passwd))])?;
    let ran = on.text(&["run", "--rm", "-u", "1234", "users", "id", "-u"])?;
    ensure!(ran == "1234", "digits are never a name: {ran}");
    for user in ["2147483648", "4294967296", "-1", "00", "1e3", "+0"] {
        let ran = on.docker(["run", "--rm", "-u", user, "users", "id", "-u"]).run()?;
        ensure!(ran.code != 0, "{user}: {ran}");
    }
    Ok(())
}

fn endless_files(on: &Fixture) -> Result<()> {
    for (number, entry) in
        [Entry::Link("/dev/zero"), Entry::Fifo, Entry::Link("/proc/kmsg")].into_iter().enumerate()
    {
        let name = format!("endless{number}");
        image(on, &name, &[("etc/passwd", entry), ("etc/group", entry)])?;
        let ran = on.docker(["run", "--rm", "-u", "app", &name, "true"]).run()?;
        ensure!(ran.code != 0, "{ran}");
    }
    let many = "x:x:1:\n".repeat(300_000);
    image(on, "manygroups", &[("etc/group", Entry::File(&many))])?;
    let ran = on.docker(["run", "--rm", "-u", "app", "manygroups", "true"]).run()?;
    ensure!(ran.code != 0, "{ran}");
    Ok(())
}

fn settings(on: &Fixture) -> Result<()> {
    for setting in [
        "kernel.core_pattern=|/x",
        "kernel.shm_rmid_forced=1+kernel.core_pattern=|/x",
        "kernel/shm_rmid_forced/../core_pattern=|/x",
        "kernel.shm*=1",
    ] {
        let ran = on.docker(["run", "--rm", "--sysctl", setting, "busybox", "true"]).run()?;
        let set = guest(on, "cat /guest/proc/sys/kernel/core_pattern")?;
        ensure!(!set.contains("/x"), "{setting} {ran}: {set}");
    }
    Ok(())
}

fn abstract_sockets(on: &Fixture) -> Result<()> {
    let seen = on.inside(&["--network", "host"], &["cat", "/proc/net/unix"])?;
    ensure!(seen.lines().count() > 1 && !seen.contains('@'), "{seen}");
    Ok(())
}

fn side_channels(on: &Fixture) -> Result<()> {
    let script =
        "cat /proc/interrupts /proc/keys /proc/timer_list /proc/latency_stats 2>/dev/null | wc -c
        ls /sys/devices/virtual/powercap 2>/dev/null | wc -l
        ls -d /sys/devices/system/cpu/cpu*/thermal_throttle 2>/dev/null | wc -l
        grep -cE '^(ALG|AF_VSOCK) ' /proc/net/protocols; true";
    let seen = on.inside(&[], &["sh", "-c", script])?;
    ensure!(seen == "0\n0\n0\n0", "{seen}");
    Ok(())
}

fn swapped_links(on: &Fixture) -> Result<()> {
    guest(on, "mkdir -p /guest/run/race/y; echo safe >/guest/run/race/file")?;
    let script = "mkdir -p /v/x/y; while :; do
        ln -s /../../../../run/race /v/l; mv /v/x /v/d; mv /v/l /v/x
        rm /v/x; mv /v/d /v/x; done 2>/dev/null";
    on.text(&["run", "-d", "--name", "swap", "-v", "swap:/v", "busybox", "sh", "-c", script])?;
    for _ in 0..12 {
        // It may fail; what it mounts and writes must be inside.
        let words = ["run", "--rm", "-v", "swap:/v", "-v", "inner:/v/x/y", "-w", "/v/x/made"];
        let words = [&words[..], &["busybox", "sh", "-c", "echo harm >/v/x/file"]].concat();
        on.docker(words).run()?;
    }
    let seen = guest(on, "cd /guest/run/race; cat file; ls . y; cd /; rm -r /guest/run/race")?;
    ensure!(seen == "safe\n.:\nfile\ny\n\ny:", "{seen}");
    on.text(&["rm", "-f", "swap"])?;
    on.text(&["volume", "rm", "swap", "inner"]).map(drop)
}
