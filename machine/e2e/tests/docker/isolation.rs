//! What a container may not do.

use anyhow::{Result, ensure};
use machine_e2e::{Check, Run};

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("only_dockers_capabilities_are_held", capabilities),
    ("capabilities_are_added_and_dropped", changed_capabilities),
    ("a_user_holds_no_capabilities", user_capabilities),
    ("the_default_seccomp_profile_is_on", seccomp),
    ("kernel_files_are_masked_or_read_only", masked),
    ("the_machines_disk_cannot_be_opened", devices),
    ("no_descriptor_leaks_into_a_container", descriptors),
    ("the_root_can_be_read_only", read_only),
    ("processes_see_only_themselves", processes),
    ("a_privileged_container_holds_everything", privileged),
    ("the_secrets_of_the_machine_are_out_of_reach", secrets),
];

const STATUS: &str =
    "grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb):' /proc/self/status | tr -d '\\t'";

fn capabilities(on: &Fixture) -> Result<()> {
    let seen = on.inside(&[], &["sh", "-c", STATUS])?;
    let docker = "00000000a80425fb";
    let wanted = format!(
        "CapInh:0000000000000000\nCapPrm:{docker}\nCapEff:{docker}\nCapBnd:{docker}\nCapAmb:0000000000000000"
    );
    ensure!(seen == wanted, "{seen}");
    Ok(())
}

fn changed_capabilities(on: &Fixture) -> Result<()> {
    let seen =
        on.inside(&["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"], &["sh", "-c", STATUS])?;
    ensure!(seen.contains("CapEff:0000000000001000"), "{seen}");
    Ok(())
}

fn user_capabilities(on: &Fixture) -> Result<()> {
    let seen = on.inside(&["-u", "1000"], &["sh", "-c", STATUS])?;
    ensure!(seen.contains("CapEff:0000000000000000"), "{seen}");
    Ok(())
}

fn seccomp(on: &Fixture) -> Result<()> {
    let script = "grep Seccomp: /proc/self/status | tr -d '\\t'";
    ensure!(on.inside(&[], &["sh", "-c", script])? == "Seccomp:2");
    let without = on.inside(&["--security-opt", "seccomp=unconfined"], &["sh", "-c", script])?;
    ensure!(without == "Seccomp:0", "{without}");
    Ok(())
}

fn masked(on: &Fixture) -> Result<()> {
    let script = "cat /proc/kcore /proc/timer_list 2>/dev/null | wc -c; ls /sys/firmware | wc -l; \
        touch /proc/sys/kernel/core_pattern 2>/dev/null || echo refused; \
        echo x 2>/dev/null >/proc/sysrq-trigger || echo refused; \
        mkdir /sys/fs/cgroup/x 2>/dev/null || echo refused";
    let seen = on.inside(&[], &["sh", "-c", script])?;
    ensure!(seen == "0\n0\nrefused\nrefused\nrefused", "{seen}");
    Ok(())
}

fn devices(on: &Fixture) -> Result<()> {
    let script =
        "mknod /d b 254 0; for n in 252 253 254; do mknod /d$n b $n 0; head -c 1 /d$n; done";
    let ran = on.docker(["run", "--rm", "busybox", "sh", "-c", script]).run()?;
    ensure!(ran.code != 0 && ran.stdout.is_empty(), "{ran}");
    ensure!(!ran.stderr.contains("No such device"), "the node does not name the disk: {ran}");
    ensure!(ran.stderr.contains("Operation not permitted"), "{ran}");
    on.inside(&[], &["sh", "-c", "head -c 1 /dev/zero | wc -c; echo >/dev/null"]).map(drop)
}

fn descriptors(on: &Fixture) -> Result<()> {
    // The fourth is the directory that ls itself has open.
    let seen = on.inside(&[], &["ls", "/proc/self/fd"])?;
    ensure!(seen == "0\n1\n2\n3", "{seen}");
    Ok(())
}

fn read_only(on: &Fixture) -> Result<()> {
    let ran = on.docker(["run", "--rm", "--read-only", "busybox", "touch", "/x"]).run()?;
    ran.code(1)?.says("Read-only file system").map(drop)
}

fn processes(on: &Fixture) -> Result<()> {
    let seen = on.inside(&[], &["sh", "-c", "echo $$; ls -d /proc/[0-9]* | wc -l"])?;
    let lines: Vec<&str> = seen.lines().collect();
    ensure!(lines[0] == "1" && lines[1].parse::<u32>()? <= 4, "{seen}");
    Ok(())
}

fn privileged(on: &Fixture) -> Result<()> {
    let seen =
        on.inside(&["--privileged"], &["sh", "-c", "grep CapEff /proc/self/status; ls /dev/vda"])?;
    ensure!(seen.contains("000001ffffffffff") && seen.contains("/dev/vda"), "{seen}");
    Ok(())
}

fn secrets(on: &Fixture) -> Result<()> {
    let script =
        "cat /sys/firmware/qemu_fw_cfg/by_name/opt/org.machine/boot/raw /run/machine/boot.json";
    let ran = on.docker(["run", "--rm", "busybox", "sh", "-c", script]).run()?;
    ensure!(ran.code != 0 && ran.stdout.is_empty(), "{ran}");
    Ok(())
}
