//! A container's life, seen with ps, inspect, logs, attach, wait.

use anyhow::{Result, ensure};
use machine_e2e::{Check, Run, eventually};

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("ps_shows_running_and_a_shows_all", ps),
    ("inspect_follows_the_state", inspect),
    ("stop_asks_first_and_kills_later", stop),
    ("kill_sends_the_signal", kill),
    ("restart_runs_it_again", restart),
    ("wait_gives_the_code", wait),
    ("a_running_container_is_not_removed", remove_running),
    ("start_attached_passes_output_and_code", start_attached),
    ("an_unknown_container_is_named", unknown),
    ("an_id_prefix_is_enough", prefix),
    ("a_renamed_container_is_found_by_its_new_name", rename),
    ("logs_are_whole_and_in_order", logs),
    ("logs_follow_until_the_end", follow),
    ("attach_shows_what_comes_and_passes_the_code", attach),
    ("top_lists_its_processes", top),
];

fn ps(on: &Fixture) -> Result<()> {
    on.text(&["run", "-d", "--name", "ps-runs", "busybox", "sleep", "1000"])?;
    on.text(&["create", "--name", "ps-created", "busybox", "sleep", "1000"])?;
    let running = on.text(&["ps", "--format", "{{.Names}} {{.Image}} {{.Status}}"])?;
    ensure!(
        running.contains("ps-runs busybox Up ") && !running.contains("ps-created"),
        "{running}"
    );
    let all = on.text(&["ps", "-a", "--format", "{{.Names}} {{.Status}}"])?;
    ensure!(all.contains("ps-created Created"), "{all}");
    let one = on.text(&["ps", "-aq", "--no-trunc", "--filter", "name=ps-created"])?;
    ensure!(one.len() == 64, "{one}");
    on.text(&["rm", "-f", "ps-runs", "ps-created"]).map(drop)
}

fn inspect(on: &Fixture) -> Result<()> {
    on.text(&["create", "--name", "state", "busybox", "sh", "-c", "sleep 1000"])?;
    let created = on.inspect("state")?;
    ensure!(created["State"]["Status"] == "created", "{created}");
    ensure!(created["State"]["StartedAt"] == "0001-01-01T00:00:00Z", "{created}");
    ensure!(created["Path"] == "sh" && created["Args"][1] == "sleep 1000", "{created}");
    on.text(&["start", "state"])?;
    let running = on.inspect("state")?;
    ensure!(running["State"]["Running"] == true && running["State"]["Pid"] != 0, "{running}");
    let address = running["NetworkSettings"]["IPAddress"].as_str().unwrap_or_default();
    ensure!(address.starts_with("172.17."), "{running}");
    on.text(&["kill", "state"])?;
    on.text(&["wait", "state"])?;
    let ended = on.inspect("state")?;
    ensure!(ended["State"]["Status"] == "exited" && ended["State"]["ExitCode"] == 137, "{ended}");
    on.text(&["rm", "state"]).map(drop)
}

fn stop(on: &Fixture) -> Result<()> {
    let polite = "trap 'echo asked; exit 7' TERM; echo ready; while true; do sleep 0.1; done";
    on.text(&["run", "-d", "--name", "polite", "busybox", "sh", "-c", polite])?;
    eventually("it is ready", || Ok(on.text(&["logs", "polite"])?.contains("ready")))?;
    on.text(&["stop", "polite"])?;
    ensure!(on.text(&["logs", "polite"])?.ends_with("asked"));
    ensure!(on.inspect("polite")?["State"]["ExitCode"] == 7);
    on.text(&[
        "run",
        "-d",
        "--name",
        "stubborn",
        "busybox",
        "sh",
        "-c",
        "trap '' TERM; while true; do sleep 1; done",
    ])?;
    on.text(&["stop", "-t", "1", "stubborn"])?;
    ensure!(on.inspect("stubborn")?["State"]["ExitCode"] == 137);
    on.text(&["stop", "stubborn"])?;
    on.text(&["rm", "polite", "stubborn"]).map(drop)
}

fn kill(on: &Fixture) -> Result<()> {
    let script = "trap 'echo got it; exit 3' USR1; echo ready; while true; do sleep 0.1; done";
    on.text(&["run", "-d", "--name", "signalled", "busybox", "sh", "-c", script])?;
    eventually("it is ready", || Ok(on.text(&["logs", "signalled"])?.contains("ready")))?;
    on.text(&["kill", "-s", "USR1", "signalled"])?;
    ensure!(on.text(&["wait", "signalled"])? == "3");
    on.docker(["kill", "signalled"]).run()?.code(1)?.says("is not running")?;
    on.text(&["rm", "signalled"]).map(drop)
}

fn restart(on: &Fixture) -> Result<()> {
    on.text(&[
        "run",
        "-d",
        "--name",
        "again",
        "busybox",
        "sh",
        "-c",
        "echo begun; exec sleep 1000",
    ])?;
    eventually("it began", || Ok(on.text(&["logs", "again"])? == "begun"))?;
    on.text(&["restart", "-t", "0", "again"])?;
    eventually("it began again", || Ok(on.text(&["logs", "again"])? == "begun\nbegun"))?;
    ensure!(on.inspect("again")?["State"]["Running"] == true);
    on.text(&["rm", "-f", "again"]).map(drop)
}

fn wait(on: &Fixture) -> Result<()> {
    on.text(&["run", "-d", "--name", "awaited", "busybox", "sh", "-c", "sleep 0.5; exit 9"])?;
    ensure!(on.text(&["wait", "awaited"])? == "9");
    ensure!(on.text(&["wait", "awaited"])? == "9", "waiting for an ended one answers at once");
    on.text(&["rm", "awaited"]).map(drop)
}

fn remove_running(on: &Fixture) -> Result<()> {
    on.text(&["run", "-d", "--name", "busy", "busybox", "sleep", "1000"])?;
    let refused = on.docker(["rm", "busy"]).run()?;
    refused
        .code(1)?
        .says("container is running: stop the container before removing or force remove")?;
    on.text(&["rm", "-f", "busy"])?;
    on.docker(["inspect", "busy"]).run()?.code(1)?;
    Ok(())
}

fn start_attached(on: &Fixture) -> Result<()> {
    on.text(&["create", "--name", "attached", "busybox", "sh", "-c", "echo first; exit 5"])?;
    let ran = on.docker(["start", "-a", "attached"]).run()?;
    ensure!(ran.code == 5 && ran.stdout == "first\n", "{ran}");
    on.text(&["create", "-i", "--name", "fed", "busybox", "cat"])?;
    let ran = on.docker(["start", "-ai", "fed"]).run_with(b"eaten")?;
    ensure!(ran.text()? == "eaten", "{ran}");
    on.text(&["rm", "attached", "fed"]).map(drop)
}

fn unknown(on: &Fixture) -> Result<()> {
    for words in [["start", "nosuch"], ["stop", "nosuch"], ["rm", "nosuch"], ["logs", "nosuch"]] {
        on.docker(words).run()?.code(1)?.says("No such container: nosuch")?;
    }
    Ok(())
}

fn prefix(on: &Fixture) -> Result<()> {
    let id = on.text(&["create", "busybox"])?;
    ensure!(on.text(&["inspect", "-f", "{{.Id}}", &id[..12]])? == id);
    on.text(&["rm", &id[..12]]).map(drop)
}

fn rename(on: &Fixture) -> Result<()> {
    on.text(&["create", "--name", "before", "busybox"])?;
    on.text(&["rename", "before", "after"])?;
    on.docker(["inspect", "before"]).run()?.code(1)?;
    on.text(&["rm", "after"]).map(drop)
}

fn logs(on: &Fixture) -> Result<()> {
    let script = "for n in 1 2 3; do echo out $n; echo err $n >&2; sleep 0.1; done";
    on.text(&["run", "-d", "--name", "talker", "busybox", "sh", "-c", script])?;
    on.text(&["wait", "talker"])?;
    let logs = on.docker(["logs", "talker"]).run()?;
    ensure!(
        logs.stdout == "out 1\nout 2\nout 3\n" && logs.stderr == "err 1\nerr 2\nerr 3\n",
        "{logs}"
    );
    let tail = on.docker(["logs", "--tail", "2", "-t", "talker"]).run()?;
    let line = tail.stdout.trim_end();
    ensure!(line.ends_with("Z out 3") && line.len() > 30, "{tail}");
    let none = on.docker(["logs", "--since", "2h", "--until", "1h", "talker"]).run()?;
    ensure!(none.stdout.is_empty() && none.stderr.is_empty(), "{none}");
    on.text(&["rm", "talker"]).map(drop)
}

fn follow(on: &Fixture) -> Result<()> {
    let script = "for n in 1 2 3 4 5; do echo $n; sleep 0.2; done";
    on.text(&["run", "-d", "--name", "followed", "busybox", "sh", "-c", script])?;
    let seen = on.text(&["logs", "-f", "followed"])?;
    ensure!(seen == "1\n2\n3\n4\n5", "{seen}");
    on.text(&["rm", "followed"]).map(drop)
}

fn attach(on: &Fixture) -> Result<()> {
    on.text(&[
        "run",
        "-di",
        "--name",
        "open",
        "busybox",
        "sh",
        "-c",
        "read x; echo got $x; exit 6",
    ])?;
    let ran = on.docker(["attach", "open"]).run_with(b"this\n")?;
    ensure!(ran.code == 6 && ran.stdout == "got this\n", "{ran}");
    on.text(&["rm", "open"]).map(drop)
}

fn top(on: &Fixture) -> Result<()> {
    on.text(&["run", "-d", "--name", "topped", "busybox", "sleep", "1000"])?;
    let seen = on.text(&["top", "topped"])?;
    ensure!(seen.starts_with("UID") && seen.contains("sleep 1000"), "{seen}");
    on.text(&["rm", "-f", "topped"]).map(drop)
}
