//! Images for other machines, and how they run.

use anyhow::{Result, ensure};
use machine_e2e::{Check, Run, archive};

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("an_image_for_another_machine_is_warned_of_or_refused", foreign),
    ("a_program_that_a_container_registers_runs_foreign_ones_everywhere", emulated),
];

fn foreign(on: &Fixture) -> Result<()> {
    let root = archive::layer(&[("x", b"foreign")])?;
    let import = ["import", "--platform", "linux/arm64", "-", "foreign:1"];
    on.docker(import).run_with(&root)?.ok()?;
    let created = on.docker(["create", "--name", "foreign", "foreign:1", "/x"]).run()?;
    created.code(0)?.says(
        "The requested image's platform (linux/arm64) does not match the detected host platform \
         (linux/amd64",
    )?;
    let other = ["create", "--pull", "never", "--platform", "linux/amd64", "foreign:1", "/x"];
    on.docker(other).run()?.code(1)?.says(
        "image with reference foreign:1 was found but its platform (linux/arm64) does not match \
         the specified platform (linux/amd64)",
    )?;
    on.docker(["save", "--platform", "linux/amd64", "foreign:1"])
        .run()?
        .code(1)?
        .says("no suitable export target found for platform linux/amd64")?;
    let shown = on.text(&["image", "inspect", "-f", "{{.Architecture}}", "foreign:1"])?;
    ensure!(shown == "arm64", "{shown}");
    on.text(&["rm", "foreign"])?;
    on.text(&["rmi", "foreign:1"]).map(drop)
}

/// As images of QEMU do it: the registration outlives the container that makes it. Here busybox
/// stands for the emulator; it takes the program's name for what to do.
fn emulated(on: &Fixture) -> Result<()> {
    let privileged = |script: &str| {
        let mounted = format!("mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && {script}");
        on.inside(&["--privileged"], &["sh", "-c", &mounted])
    };
    privileged(r"echo ':e2e:M::\x7fE2E::/bin/busybox:F' > /proc/sys/fs/binfmt_misc/register")?;
    let script = r"printf '\177E2E' > /tmp/echo && chmod +x /tmp/echo && /tmp/echo foreign";
    let said = on.inside(&[], &["sh", "-c", script])?;
    privileged("echo -1 > /proc/sys/fs/binfmt_misc/e2e")?;
    ensure!(said == "foreign", "{said}");
    Ok(())
}
