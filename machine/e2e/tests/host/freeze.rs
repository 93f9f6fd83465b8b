//! Machines that stand still, sleep, and go back in time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use machine_e2e::{Check, Machine, Run, eventually};

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("a_paused_machine_goes_on_with_the_right_time", paused),
    ("a_suspended_machine_goes_on_where_it_was", suspended),
    ("a_suspended_machine_can_boot_anew", discarded),
    ("a_snapshot_brings_memory_and_disk_back", snapshot),
    ("a_snapshot_of_a_stopped_machine_is_its_disk", cold_snapshot),
    ("start_gives_a_running_machine_a_new_supervisor", adopted),
];

fn machine(on: &Machine, words: &[&str]) -> Result<()> {
    on.host.machine().args(words).run()?.ok()
}

fn status(on: &Machine) -> Result<String> {
    on.host.machine().args(["status", "dev"]).run()?.text()
}

/// How far the guest's clock is from the host's, in seconds.
fn clock_error(on: &Machine) -> Result<u64> {
    let before = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let guest: u64 = on.ssh(["date", "+%s"]).run()?.text()?.parse()?;
    let after = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(if guest < before { before - guest } else { guest.saturating_sub(after) })
}

/// A container that counts, and how far it is.
fn count(on: &Machine) -> Result<()> {
    let script = "n=0; while :; do n=$((n+1)); echo $n; sleep 0.2; done";
    let words = ["run", "-d", "--name", "counts", "-p", "127.0.0.1::80", "busybox"];
    on.docker(words.into_iter().chain(["sh", "-c", script])).run()?.ok()
}

fn counted(on: &Machine) -> Result<u64> {
    let last = on.docker(["logs", "--tail", "1", "counts"]).run()?.text()?;
    Ok(last.trim().parse().unwrap_or(0))
}

fn paused(on: &Machine) -> Result<()> {
    machine(on, &["pause", "dev"])?;
    ensure!(status(on)? == "Paused");
    let begun = Instant::now();
    // Long enough that a clock which stood still is seen to.
    while begun.elapsed() < Duration::from_secs(5) {
        let refused = on.host.machine().args(["env", "dev"]).run()?;
        ensure!(refused.code == 5, "{refused}");
    }
    machine(on, &["unpause", "dev"])?;
    eventually("the guest's clock is right", || Ok(clock_error(on)? <= 1))?;
    ensure!(status(on)? == "Running");
    Ok(())
}

fn suspended(on: &Machine) -> Result<()> {
    count(on)?;
    eventually("it counts", || Ok(counted(on)? > 3))?;
    let state = "{{.State.Pid}} {{.State.StartedAt}}";
    let before = on.docker(["inspect", "-f", state, "counts"]).run()?.text()?;
    let port = on.docker(["port", "counts", "80"]).run()?.text()?;
    machine(on, &["suspend", "dev"])?;
    ensure!(status(on)? == "Saved", "{}", status(on)?);
    let reached = counted(on);
    ensure!(reached.is_err(), "the engine of a suspended machine answers");
    machine(on, &["start", "dev"])?;
    ensure!(status(on)? == "Running");
    let after = on.docker(["inspect", "-f", state, "counts"]).run()?.text()?;
    ensure!(before == after, "{before} was before, {after} is after");
    ensure!(on.docker(["port", "counts", "80"]).run()?.text()? == port);
    std::net::TcpStream::connect(&port)?;
    let now = counted(on)?;
    eventually("it goes on counting", || Ok(counted(on)? > now))?;
    eventually("the guest's clock is right", || Ok(clock_error(on)? <= 1))?;
    on.docker(["rm", "-f", "counts"]).run()?.ok()
}

fn discarded(on: &Machine) -> Result<()> {
    count(on)?;
    machine(on, &["suspend", "dev"])?;
    machine(on, &["start", "--discard-state", "dev"])?;
    let state = on.docker(["inspect", "-f", "{{.State.Status}}", "counts"]).run()?.text()?;
    ensure!(state == "exited", "{state}");
    on.docker(["rm", "counts"]).run()?.ok()
}

fn snapshot(on: &Machine) -> Result<()> {
    count(on)?;
    on.docker(["volume", "create", "then"]).run()?.ok()?;
    let pid = on.docker(["inspect", "-f", "{{.State.Pid}}", "counts"]).run()?.text()?;
    machine(on, &["snapshot", "save", "dev", "first"])?;
    let reached = counted(on)?;
    on.docker(["rm", "-f", "counts"]).run()?.ok()?;
    on.docker(["volume", "rm", "then"]).run()?.ok()?;
    on.docker(["volume", "create", "now"]).run()?.ok()?;
    let listed = on.host.machine().args(["snapshot", "ls", "dev"]).run()?.text()?;
    ensure!(listed.contains("first"), "{listed}");

    for _ in 0..2 {
        machine(on, &["snapshot", "restore", "dev", "first"])?;
        ensure!(status(on)? == "Running");
        let volumes = on.docker(["volume", "ls", "-q"]).run()?.text()?;
        ensure!(volumes.contains("then") && !volumes.contains("now"), "{volumes}");
        let again = on.docker(["inspect", "-f", "{{.State.Pid}}", "counts"]).run()?.text()?;
        ensure!(again == pid, "{again}");
        eventually("it counts on", || Ok(counted(on)? > reached))?;
    }
    machine(on, &["snapshot", "rm", "dev", "first"])?;
    let gone = on.host.machine().args(["snapshot", "restore", "dev", "first"]).run()?;
    ensure!(gone.code != 0, "{gone}");
    on.docker(["rm", "-f", "counts"]).run()?.ok()?;
    on.docker(["volume", "rm", "then"]).run()?.ok()
}

fn cold_snapshot(on: &Machine) -> Result<()> {
    machine(on, &["stop", "dev"])?;
    machine(on, &["snapshot", "save", "dev", "cold"])?;
    machine(on, &["start", "dev"])?;
    on.docker(["volume", "create", "later"]).run()?.ok()?;
    machine(on, &["snapshot", "restore", "dev", "cold"])?;
    ensure!(status(on)? == "Stopped", "{}", status(on)?);
    machine(on, &["start", "dev"])?;
    let volumes = on.docker(["volume", "ls", "-q"]).run()?.text()?;
    ensure!(!volumes.contains("later"), "{volumes}");
    machine(on, &["snapshot", "rm", "dev", "cold"])
}

fn adopted(on: &Machine) -> Result<()> {
    let supervisor = on.supervisor()?;
    std::process::Command::new("kill").args(["-9", &supervisor]).run()?.ok()?;
    let started = on.host.machine().args(["start", "dev"]).run()?;
    ensure!(started.code == 0 || started.code == 5, "{started}");
    let words = ["run", "-d", "--name", "new", "-p", "127.0.0.1::80", "busybox", "sleep", "1000"];
    on.docker(words).run()?.ok()?;
    let port = on.docker(["port", "new", "80"]).run()?.text()?;
    std::net::TcpStream::connect(&port)?;
    on.docker(["rm", "-f", "new"]).run()?.ok()
}
