//! Machines that are stopped, killed and started again, and the daemon killed in one.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use machine_e2e::{Check, Machine, Run, archive, eventually};

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("containers_outlive_the_daemon", daemon_killed),
    ("logs_input_and_restarts_go_on_under_the_next_daemon", all_goes_on),
    ("a_machine_keeps_its_port_images_and_containers", whole_life),
    ("a_taken_port_is_named_at_start", port_taken),
    ("a_machine_outlives_its_supervisor", supervisor_killed),
];

/// The engine's pid in the guest: the child of init that runs the daemon role.
pub(crate) fn daemon(on: &Machine) -> Result<String> {
    let listed = on.ssh(["ps", "-o", "pid,ppid,args"]).run()?.text()?;
    let line = listed
        .lines()
        .find(|line| line.split_whitespace().nth(1) == Some("1") && line.contains("daemon"))
        .with_context(|| listed.clone())?;
    Ok(line.split_whitespace().next().unwrap_or_default().to_owned())
}

fn kill_the_daemon(on: &Machine) -> Result<()> {
    for _ in 0..3 {
        let before = daemon(on)?;
        // The connection dies with the daemon, so the command's own status says nothing.
        drop(on.ssh(["kill", "-9", &before]).run()?);
        eventually("another daemon serves", || Ok(daemon(on)? != before))?;
    }
    eventually("the engine answers", || Ok(on.docker(["ps"]).run()?.code == 0))?;
    Ok(())
}

fn daemon_killed(on: &Machine) -> Result<()> {
    let root = archive::busybox_root()?;
    on.docker(["import", "-", "busybox"]).run_with(&root)?.ok()?;
    let count =
        "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done; echo done; sleep 1000";
    let words = ["run", "-d", "--name", "counts", "busybox", "/bin/sh", "-c", count];
    on.docker(words).run()?.ok()?;
    let words = ["run", "-d", "--name", "ends", "busybox", "/bin/sh", "-c", "sleep 3; exit 23"];
    on.docker(words).run()?.ok()?;
    let check = ["--health-cmd", "true", "--health-interval", "200ms"];
    let words =
        [&["run", "-d", "--name", "checked"], &check[..], &["busybox", "/bin/sleep", "1000"]];
    on.docker(words.concat()).run()?.ok()?;
    let pid = on.docker(["inspect", "-f", "{{.State.Pid}}", "counts"]).run()?.text()?;
    kill_the_daemon(on)?;
    let after =
        on.docker(["inspect", "-f", "{{.State.Running}} {{.State.Pid}}", "counts"]).run()?;
    ensure!(after.text()? == format!("true {pid}"), "{after}");
    eventually("it has counted", || {
        Ok(on.docker(["logs", "counts"]).run()?.stdout.ends_with("done\n"))
    })?;
    let logs = on.docker(["logs", "counts"]).run()?.text()?;
    let numbers: Vec<String> = (1..=3000).map(|n| format!("line {n}")).collect();
    let told: Vec<&str> = logs.lines().collect();
    ensure!(told[..told.len() - 1] == numbers, "{} lines", told.len());
    let ended = on.docker(["wait", "ends"]).run()?;
    ensure!(ended.text()? == "23", "{ended}");
    on.docker(["exec", "counts", "/bin/true"]).run()?.ok()?;
    let health = ["inspect", "-f", "{{.State.Health.Status}}", "checked"];
    eventually("it is checked again", || Ok(on.docker(health).run()?.text()? == "healthy"))?;
    on.docker(["rm", "-f", "counts", "ends", "checked"]).run()?.ok()
}

fn all_goes_on(on: &Machine) -> Result<()> {
    let root = archive::busybox_root()?;
    on.docker(["import", "-", "busybox"]).run_with(&root)?.ok()?;
    let run = |flags: &[&str], script: &str| {
        let words = [&["run", "-d"], flags, &["busybox", "/bin/sh", "-c", script]].concat();
        on.docker(words).run()?.ok()
    };
    run(&["-i", "--name", "listens"], "read x; echo $x; exit 6")?;
    run(&["--name", "again", "--restart", "always"], "echo began; sleep 1")?;
    let rotating = ["--log-driver", "local", "--log-opt", "max-size=10k", "--log-opt"];
    let count = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done; echo done";
    run(&[&rotating[..], &["max-file=99", "--name", "rotates"]].concat(), count)?;
    kill_the_daemon(on)?;
    let logs = || -> Result<String> { Ok(on.docker(["logs", "rotates"]).run()?.stdout) };
    eventually("it has counted", || Ok(logs()?.ends_with("done\n")))?;
    let logs = logs()?;
    let numbers: Vec<String> = (1..=3000).map(|n| format!("line {n}")).collect();
    ensure!(logs.lines().eq(numbers.iter().map(String::as_str).chain(["done"])), "lines differ");
    let echoed = on.docker(["attach", "listens"]).run_with(b"still here\n")?;
    ensure!(echoed.code == 6 && echoed.stdout == "still here\n", "{echoed}");
    let began =
        || -> Result<usize> { Ok(on.docker(["logs", "again"]).run()?.stdout.lines().count()) };
    let times = began()?;
    eventually("it is restarted as before", || Ok(began()? > times))?;
    on.docker(["rm", "-f", "rotates", "listens", "again"]).run()?.ok()
}

/// Stop, start, restart, kill: the port, the images and the containers stay.
fn whole_life(on: &Machine) -> Result<()> {
    let url = on.host.machine().args(["url", &on.name]).run()?.text()?;
    let root = archive::busybox_root()?;
    on.docker(["import", "-", "busybox"]).run_with(&root)?.ok()?;
    on.docker(["run", "-d", "--name", "outlives", "busybox", "/bin/sleep", "1000"]).run()?.ok()?;
    let script = "trap 'exit 3' TERM; echo ready; while :; do /bin/sleep 0.1; done";
    let words = ["run", "-d", "--name", "polite", "busybox", "/bin/sh", "-c", script];
    on.docker(words).run()?.ok()?;
    eventually("it is ready", || Ok(on.docker(["logs", "polite"]).run()?.stdout == "ready\n"))?;

    on.host.machine().args(["stop", &on.name]).run()?.ok()?;
    ensure!(on.host.machine().args(["status", &on.name]).run()?.text()? == "Stopped");
    let asked = on.host.machine().args(["url", &on.name]).run()?;
    asked.says("Host is not running")?;
    on.host.machine().args(["stop", &on.name]).run()?.code(5)?;

    on.host.machine().args(["start", &on.name]).run()?.ok()?;
    ensure!(on.host.machine().args(["url", &on.name]).run()?.text()? == url, "another port");
    let state = on.docker(["inspect", "-f", "{{.State.Status}}", "outlives"]).run()?.text()?;
    ensure!(state == "exited", "{state}");
    let code = on.docker(["wait", "polite"]).run()?.text()?;
    ensure!(code == "3", "a container was not asked to end but killed: {code}");
    on.docker(["rm", "polite"]).run()?.ok()?;
    on.docker(["start", "outlives"]).run()?.ok()?;

    on.host.machine().args(["kill", &on.name]).run()?.ok()?;
    ensure!(on.host.machine().args(["status", &on.name]).run()?.text()? == "Stopped");
    on.host.machine().args(["start", &on.name]).run()?.ok()?;
    let state = on.docker(["inspect", "-f", "{{.State.Status}}", "outlives"]).run()?.text()?;
    ensure!(state == "exited", "after a power cut: {state}");
    on.docker(["image", "inspect", "busybox"]).run()?.ok()?;
    on.docker(["start", "outlives"]).run()?.ok()?;

    on.host.machine().args(["restart", &on.name]).run()?.ok()?;
    on.docker(["rm", "outlives"]).run()?.ok()?;
    Ok(())
}

fn port_taken(on: &Machine) -> Result<()> {
    let url = on.host.machine().args(["url", &on.name]).run()?.text()?;
    on.host.machine().args(["stop", &on.name]).run()?.ok()?;
    let thief = std::net::TcpListener::bind(url.trim_start_matches("tcp://"))?;
    let refused = on.host.machine().args(["start", &on.name]).run()?;
    ensure!(refused.code != 0, "{refused}");
    refused.says(&thief.local_addr()?.port().to_string())?;
    drop(thief);
    on.host.machine().args(["start", &on.name]).run()?.ok()
}

fn supervisor_killed(on: &Machine) -> Result<()> {
    let supervisor = on.supervisor()?;
    Command::new("kill").args(["-9", &supervisor]).run()?.ok()?;
    on.docker(["version"]).run()?.ok()?;
    ensure!(on.host.machine().args(["status", &on.name]).run()?.text()? == "Running");
    on.ssh(["true"]).run()?.ok()?;
    on.host.machine().args(["stop", &on.name]).run()?.ok()?;
    ensure!(on.host.machine().args(["status", &on.name]).run()?.text()? == "Stopped");
    on.host.machine().args(["start", &on.name]).run()?.ok()?;
    on.docker(["version"]).run()?.ok()
}
