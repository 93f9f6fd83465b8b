//! Mistakes and bad luck while creating: one clear error, and nothing stays behind.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use anyhow::{Result, ensure};
use machine_e2e::{Check, Finished, Host, Machine, Run};

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("an_invalid_name_is_refused", invalid_name),
    ("absurd_sizes_are_refused", absurd_sizes),
    ("a_missing_qemu_is_named", qemu_missing),
    ("an_old_qemu_is_refused", qemu_old),
    ("a_missing_image_is_named", image_missing),
    ("a_changed_image_is_refused", image_changed),
    ("a_qemu_that_dies_shows_the_console", qemu_dies),
    ("a_forced_accelerator_fails_honestly", forced),
];

fn create(host: &Host, flags: &[&str]) -> Command {
    let mut command = host.machine();
    command.arg("create").args(flags).arg("x");
    command
}

/// One error, no machine, no file, no process.
fn refused(host: &Host, ran: &Finished, says: &str) -> Result<()> {
    ensure!(ran.code != 0, "{ran}");
    ran.says(says)?;
    ensure!(ran.stderr.matches("error:").count() == 1, "{ran}");
    ensure!(host.machine().args(["ls", "-q"]).run()?.text()?.is_empty(), "it is listed");
    let machines = host.storage().join("machines");
    let left = std::fs::read_dir(&machines).map_or(0, |entries| {
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).count()
    });
    ensure!(left == 0, "something is left in {}", machines.display());
    let processes =
        Command::new("pgrep").args(["-fl", &host.storage().display().to_string()]).run()?;
    ensure!(processes.stdout.is_empty(), "processes are left: {processes}");
    Ok(())
}

fn invalid_name(_: &Machine) -> Result<()> {
    let host = Host::new()?;
    for name in ["under_score", "-dash", "", "a/b", "..", "sp ace", "ünï"] {
        let ran = host.machine().args(["create", "--", name]).run()?;
        refused(&host, &ran, "nvalid")?;
    }
    Ok(())
}

fn absurd_sizes(_: &Machine) -> Result<()> {
    let host = Host::new()?;
    for flags in [
        ["--memory", "16"],
        ["--memory", "100000000"],
        ["--disk-size", "1"],
        ["--cpu-count", "0"],
        ["--cpu-count", "5000"],
    ] {
        let ran = create(&host, &flags).run()?;
        refused(&host, &ran, "hint:")?;
    }
    Ok(())
}

fn qemu_missing(_: &Machine) -> Result<()> {
    let host = Host::new()?;
    let ran = create(&host, &[]).env("PATH", "/nonexistent").run()?;
    refused(&host, &ran, "qemu-system-x86_64")
}

/// A stand-in for QEMU.
fn stand_in(directory: &std::path::Path, script: &str) -> Result<std::path::PathBuf> {
    let path = directory.join("qemu-system-x86_64");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn qemu_old(_: &Machine) -> Result<()> {
    let host = Host::new()?;
    let place = tempfile::tempdir()?;
    let old = stand_in(place.path(), "echo QEMU emulator version 4.2.1")?;
    let ran = create(&host, &[]).env("MACHINE_QEMU", old).run()?;
    refused(&host, &ran, "4.2.1")
}

fn image_missing(_: &Machine) -> Result<()> {
    let host = Host::new()?;
    let ran = create(&host, &[]).env("MACHINE_IMAGE_DIR", "/nonexistent").run()?;
    refused(&host, &ran, "/nonexistent")
}

fn image_changed(_: &Machine) -> Result<()> {
    let host = Host::new()?;
    let changed = tempfile::tempdir()?;
    let image = machine_e2e::host::workspace().join("target/release/image/x86_64");
    for entry in std::fs::read_dir(image)? {
        let entry = entry?;
        std::fs::copy(entry.path(), changed.path().join(entry.file_name()))?;
    }
    let kernel = changed.path().join("vmlinux");
    let mut content = std::fs::read(&kernel)?;
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(&kernel, content)?;
    let ran = create(&host, &[]).env("MACHINE_IMAGE_DIR", changed.path()).run()?;
    refused(&host, &ran, "vmlinux")
}

fn qemu_dies(_: &Machine) -> Result<()> {
    let host = Host::new()?;
    let place = tempfile::tempdir()?;
    let script = "case \"$*\" in *-kernel*) ;; *) exec /usr/bin/qemu-system-x86_64 \"$@\";; esac
        /usr/bin/qemu-system-x86_64 \"$@\" & child=$!
        while [ ! -s console.log ]; do :; done
        kill -9 $child; wait $child; exit 1";
    let dying = stand_in(place.path(), script)?;
    let ran = create(&host, &["--accel", "tcg"]).env("MACHINE_QEMU", dying).run()?;
    refused(&host, &ran, "console")
}

fn forced(_: &Machine) -> Result<()> {
    let host = Host::new()?;
    let ran = create(&host, &["--accel", "hvf"]).run()?;
    refused(&host, &ran, "HVF")?;
    if std::path::Path::new("/dev/kvm").exists() && !kvm_works(&host)? {
        let ran = create(&host, &["--accel", "kvm"]).run()?;
        refused(&host, &ran, "KVM")?;
    }
    Ok(())
}

/// Whether a machine made without a flag came up with KVM; if not there was exactly one warning.
fn kvm_works(host: &Host) -> Result<bool> {
    let ran = create(host, &[]).run()?;
    ran.ok()?;
    let warnings =
        ran.stderr.lines().chain(ran.stdout.lines()).filter(|line| line.contains("emulation"));
    let emulated = warnings.count();
    host.machine().args(["rm", "-f", "-y", "x"]).run()?.ok()?;
    ensure!(emulated <= 1, "{ran}");
    Ok(emulated == 0)
}
