//! `machine ssh`.

use std::process::Command;

use anyhow::{Result, ensure};
use machine_e2e::{Check, Machine, Run};

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("a_commands_output_and_error_arrive_apart", streams),
    ("the_exit_status_passes_through", status),
    ("input_is_half_closed", input),
    ("words_after_the_name_are_the_command", words),
    ("without_a_key_nobody_gets_in", no_key),
    ("an_interactive_shell_has_a_terminal", shell),
];

fn streams(on: &Machine) -> Result<()> {
    let ran = on.ssh(["echo out; echo err >&2"]).run()?;
    ensure!(ran.code == 0 && ran.stdout == "out\n" && ran.stderr == "err\n", "{ran}");
    Ok(())
}

fn status(on: &Machine) -> Result<()> {
    on.ssh(["exit", "42"]).run()?.code(42)?;
    on.ssh(["nosuchcommand"]).run()?.code(127)?;
    Ok(())
}

fn input(on: &Machine) -> Result<()> {
    let ran = on.ssh(["cat; echo end"]).run_with(b"typed\n")?;
    ensure!(ran.text()? == "typed\nend", "{ran}");
    Ok(())
}

fn words(on: &Machine) -> Result<()> {
    let ran = on.host.machine().args(["ssh", "dev", "uname", "-s"]).run()?;
    ensure!(ran.text()? == "Linux", "{ran}");
    Ok(())
}

/// With the port, but without the machine's own key.
fn no_key(on: &Machine) -> Result<()> {
    let inspected = on.host.machine().args(["inspect", "dev"]).run()?.text()?;
    let value: serde_json::Value = serde_json::from_str(&inspected)?;
    let port = value["Driver"]["SSHPort"].to_string();
    let home = tempfile::tempdir()?;
    let ran = Command::new("ssh")
        .env("HOME", home.path())
        .args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"])
        .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-p", &port])
        .args(["root@127.0.0.1", "true"])
        .run()?;
    ensure!(ran.code == 255, "{ran}");
    ran.says("Permission denied")?;
    let key = on.directory().join("id_ed25519").display().to_string();
    let ran = Command::new("ssh")
        .args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"])
        .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-p", &port])
        .args(["-i", &key, "root@127.0.0.1", "exit 7"])
        .run()?;
    ran.code(7).map(drop)
}

fn shell(on: &Machine) -> Result<()> {
    let line = machine_e2e::command::shown(on.host.machine().args(["ssh", "dev"]));
    let mut script = Command::new("script");
    script.args(["-qefc", &line, "/dev/null"]).env("MACHINE_STORAGE_PATH", on.host.storage());
    let ran = script.run_with(b"tty; exit 9\n")?;
    ensure!(ran.code == 9 && ran.stdout.contains("/dev/pts/"), "{ran}");
    Ok(())
}
