//! What a container may use, and what it does use.

use anyhow::{Result, ensure};
use machine_e2e::{Check, Run, eventually};
use serde_json::Value;

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("a_paused_container_does_nothing_until_it_goes_on", pause),
    ("a_paused_container_can_be_stopped", stop_paused),
    ("limits_change_while_it_runs", update),
    ("stats_tell_what_is_used", stats),
    ("a_process_that_takes_too_much_memory_is_killed_and_told", out_of_memory),
];

fn pause(on: &Fixture) -> Result<()> {
    let count = "n=0; while :; do n=$((n+1)); echo $n >/n; done";
    on.text(&["run", "-d", "--name", "still", "busybox", "sh", "-c", count])?;
    on.text(&["pause", "still"])?;
    ensure!(on.inspect("still")?["State"]["Status"] == "paused");
    on.docker(["exec", "still", "true"])
        .run()?
        .code(1)?
        .says("is paused, unpause the container")?;
    on.docker(["start", "still"]).run()?.code(1)?.says("cannot start a paused container")?;
    on.docker(["rm", "still"]).run()?.code(1)?.says("is paused and must be unpaused first")?;
    on.docker(["pause", "still"]).run()?.code(1)?.says("is already paused")?;
    let used = |on: &Fixture| -> Result<String> {
        let text = on.text(&["stats", "--no-stream", "--format", "{{.CPUPerc}}", "still"])?;
        Ok(text.trim().to_owned())
    };
    let standing = used(on)?;
    ensure!(standing == "0.00%", "{standing}");
    on.text(&["unpause", "still"])?;
    on.text(&["exec", "still", "cat", "/n"])?;
    let going = used(on)?;
    ensure!(going != "0.00%", "{going}");
    on.text(&["rm", "-f", "still"]).map(drop)
}

fn stop_paused(on: &Fixture) -> Result<()> {
    let script = "trap 'exit 7' TERM; while :; do sleep 0.1; done";
    on.text(&["run", "-d", "--name", "deaf", "busybox", "sh", "-c", script])?;
    on.text(&["pause", "deaf"])?;
    on.text(&["stop", "-t", "60", "deaf"])?;
    let state = &on.inspect("deaf")?["State"];
    ensure!(state["ExitCode"] == 7 && state["Paused"] == false, "{state}");
    on.text(&["rm", "deaf"]).map(drop)
}

fn update(on: &Fixture) -> Result<()> {
    on.text(&["run", "-d", "--name", "limits", "-m", "64m", "busybox", "sleep", "1000"])?;
    let words = [
        "update",
        "--memory",
        "32m",
        "--memory-swap",
        "48m",
        "--pids-limit",
        "50",
        "--cpus",
        "0.5",
        "--cpu-shares",
        "2",
        "limits",
    ];
    on.text(&words)?;
    let files = "cd /sys/fs/cgroup; cat memory.max memory.swap.max pids.max cpu.max cpu.weight";
    let seen = on.text(&["exec", "limits", "sh", "-c", files])?;
    ensure!(seen == "33554432\n16777216\n50\n50000 100000\n1", "{seen}");
    on.text(&["update", "--pids-limit", "-1", "limits"])?;
    ensure!(on.text(&["exec", "limits", "cat", "/sys/fs/cgroup/pids.max"])? == "max");
    let refused = on.docker(["update", "--memory", "1g", "limits"]).run()?;
    refused.code(1)?.says("Memory limit should be smaller than already set memoryswap limit")?;
    on.text(&["restart", "-t", "0", "limits"])?;
    let seen = on.text(&["exec", "limits", "cat", "/sys/fs/cgroup/memory.max"])?;
    ensure!(seen == "33554432", "a limit stays: {seen}");
    on.text(&["rm", "-f", "limits"]).map(drop)
}

fn stats(on: &Fixture) -> Result<()> {
    let script = "ping -c 1 $(ip route | head -1 | cut -d' ' -f3); while :; do :; done";
    on.text(&["run", "-d", "--name", "busy", "-m", "50m", "busybox", "sh", "-c", script])?;
    on.text(&["create", "--name", "idle", "busybox"])?;
    let all = on.text(&["stats", "--no-stream", "--all", "--format", "json"])?;
    let of = |name: &str| -> Result<Value> {
        let found = all.lines().find(|line| line.contains(&format!("\"Name\":\"{name}\"")));
        Ok(serde_json::from_str(found.unwrap_or("null"))?)
    };
    let (busy, idle) = (of("busy")?, of("idle")?);
    let usage = busy["MemUsage"].as_str().unwrap_or_default();
    ensure!(usage.ends_with(" / 50MiB") && !usage.starts_with("0B"), "{all}");
    ensure!(busy["CPUPerc"] != "0.00%" && busy["PIDs"] == "1", "{all}");
    ensure!(busy["NetIO"] != "0B / 0B" && idle["NetIO"] == "0B / 0B", "{all}");
    ensure!(idle["MemUsage"] == "0B / 0B" && idle["CPUPerc"] == "0.00%", "{all}");
    on.text(&["rm", "-f", "busy", "idle"]).map(drop)
}

fn out_of_memory(on: &Fixture) -> Result<()> {
    let script = "dd if=/dev/zero of=/dev/null bs=64M count=1; echo $? >/code; sleep 1000";
    let limit = ["-m", "16m", "--memory-swap", "16m"];
    let words = [&["run", "-d", "--name", "hungry"], &limit[..], &["busybox", "sh", "-c", script]];
    on.text(&words.concat())?;
    eventually("the container is told to have run out of memory", || {
        Ok(on.inspect("hungry")?["State"]["OOMKilled"] == true)
    })?;
    let state = &on.inspect("hungry")?["State"];
    ensure!(state["Status"] == "running", "only the process is killed: {state}");
    on.text(&["rm", "-f", "hungry"])?;
    let alone = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"];
    let words = [&["run", "--name", "eaten"], &limit[..], &["busybox"], &alone[..]].concat();
    on.docker(words).run()?.code(137)?;
    ensure!(on.inspect("eaten")?["State"]["OOMKilled"] == true);
    let format = "{{.Action}} {{.Actor.Attributes.name}}";
    let seen = on.text(&["events", "--since", "5m", "--until", "0s", "--format", format])?;
    for name in ["hungry", "eaten"] {
        ensure!(seen.contains(&format!("oom {name}")), "{seen}");
    }
    on.text(&["rm", "eaten"]).map(drop)
}
