//! A machine around one command.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use machine_e2e::{Check, Host, Machine, Run, eventually, host};

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("the_commands_status_is_passed_on_and_nothing_is_left", passed),
    ("an_interrupted_run_leaves_nothing", interrupted),
    ("a_killed_run_leaves_nothing_for_the_next_command", killed),
];

const FLAGS: &[&str] =
    &["run", "--rm", "--memory", "512", "--accel", "tcg", "--cpu-count", "1", "--"];

/// No machine, no process, no Docker context.
fn nothing_left(host: &Host) -> Result<bool> {
    let machines = host.machine().args(["ls", "-q"]).run()?.text()?;
    let pattern = host.storage().display().to_string();
    let processes = std::process::Command::new("pgrep").args(["-f", &pattern]).run()?;
    let contexts = host.home().join(".docker/contexts/meta");
    let contexts = std::fs::read_dir(contexts).map_or(0, Iterator::count);
    Ok(machines.is_empty() && processes.stdout.is_empty() && contexts == 0)
}

fn passed(_: &Machine) -> Result<()> {
    let host = Host::new()?;
    let docker = host::docker("forky")?;
    let script = "\"$0\" version --format '{{.Server.Os}}' && exit 42";
    let mut run = host.machine();
    run.args(FLAGS).args(["sh", "-c", script]).arg(docker);
    let ran = run.run()?;
    ensure!(ran.code == 42 && ran.stdout == "linux\n", "{ran}");
    ensure!(nothing_left(&host)?, "something is left");
    Ok(())
}

fn interrupted(_: &Machine) -> Result<()> {
    let host = Host::new()?;
    let mut run = host.machine();
    run.args(FLAGS).args(["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done"]);
    let mut child = run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    eventually("its machine runs", || {
        Ok(host.machine().args(["ls"]).run()?.text()?.contains("Running"))
    })?;
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    machine_e2e::command::wait(&mut child, "machine run").context("it does not end")?;
    ensure!(nothing_left(&host)?, "something is left");
    Ok(())
}

fn killed(_: &Machine) -> Result<()> {
    let host = Host::new()?;
    let mut run = host.machine();
    run.args(FLAGS).args(["sleep", "1000"]);
    let mut child = run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    eventually("its machine runs", || {
        Ok(host.machine().args(["ls"]).run()?.text()?.contains("Running"))
    })?;
    child.kill()?;
    child.wait()?;
    eventually("nothing is left", || nothing_left(&host))
}
