//! Many at once, each check on a machine of its own, so that what is left can be counted.

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use machine_e2e::{Check, Run, eventually};

use crate::fixture::Fixture;
use crate::listener::Listener;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("a_crowd_leaves_nothing_behind", nothing_stays),
    ("two_hundred_containers_run_in_two_gib", two_hundred),
];

const RUNS: usize = 50;
const CLIENTS: usize = 10;
const RUNNING: usize = 200;

/// What a container could leave in the guest. Kernel threads come and go as they like.
const COUNT: &str = "\
    echo mounts $(wc -l < /proc/self/mountinfo); \
    echo cgroups $(find /sys/fs/cgroup -type d | wc -l); \
    echo links $(ls /sys/class/net | wc -l); \
    echo namespaces $(find /run -path '*netns*' | wc -l); \
    processes=0; \
    for pid in /proc/[0-9]*; do [ -n \"$(cat $pid/cmdline 2>/dev/null)\" ] && processes=$((processes+1)); done; \
    echo processes $processes; \
    for pid in /proc/[0-9]*; do \
        [ $pid = /proc/$$ ] && continue; \
        case \"$(tr '\\0' ' ' < $pid/cmdline 2>/dev/null)\" in \
            *daemon*|*init*) echo descriptors of $(cat $pid/comm) $(ls $pid/fd | wc -l);; \
        esac; \
    done";

fn count(on: &Fixture) -> Result<String> {
    on.machine.ssh([COUNT]).run()?.text()
}

fn nothing_stays(_: &Fixture) -> Result<()> {
    let on = &Fixture::with("crowd", "1024")?;
    // What is made once and then kept is made now.
    on.inside(&[], &["true"])?;
    // A connection of that may still be closing.
    let mut before = count(on)?;
    eventually("the guest is at rest", || {
        let earlier = std::mem::replace(&mut before, count(on)?);
        Ok(earlier == before)
    })?;
    let listener = Listener::start(on, "label=crowd", "{{.Action}}")?;
    std::thread::scope(|scope| -> Result<()> {
        let runs: Vec<_> = (0..RUNS).map(|number| scope.spawn(move || run(on, number))).collect();
        runs.into_iter().try_for_each(|run| run.join().unwrap_or_else(|_| bail!("a run panicked")))
    })?;
    for (action, times) in [("die", RUNS), ("destroy", RUNS)] {
        eventually(&format!("{times} times {action} was told"), || {
            Ok(listener.told().iter().filter(|told| *told == action).count() == times)
        })?;
    }
    drop(listener);
    everybody_at_one(on)?;
    let mut after = String::new();
    eventually("everything is gone", || {
        after = count(on)?;
        Ok(after == before)
    })
    .map_err(|error| error.context(format!("before:\n{before}\nafter:\n{after}")))
}

fn run(on: &Fixture, number: usize) -> Result<()> {
    let code = i32::try_from(number % 7)?;
    let script = format!("echo {number}; exit {code}");
    let words = ["run", "--rm", "--label", "crowd", "busybox", "sh", "-c", &script];
    let ran = on.docker(words).run()?;
    ensure!(ran.stdout == format!("{number}\n"), "{ran}");
    ran.code(code).map(drop)
}

/// Start, stop, remove and look at one container from many clients: any order is right, as long as
/// everybody is answered.
fn everybody_at_one(on: &Fixture) -> Result<()> {
    std::thread::scope(|scope| -> Result<()> {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || -> Result<()> {
                    for round in 0..3 {
                        let words: &[&str] = match (client + round) % 5 {
                            0 => &["create", "--name", "one", "busybox", "sleep", "1000"],
                            1 => &["start", "one"],
                            2 => &["stop", "-t", "0", "one"],
                            3 => &["rm", "-f", "one"],
                            _ => &["inspect", "one"],
                        };
                        let ran = on.docker(words.iter().copied()).run()?;
                        ensure!(ran.code <= 1, "{ran}");
                        ensure!(!ran.stderr.contains("internal error"), "{ran}");
                    }
                    Ok(())
                })
            })
            .collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().unwrap_or_else(|_| bail!("a client panicked")))
    })?;
    // It may be gone already.
    on.docker(["rm", "-f", "one"]).run().map(drop)
}

fn two_hundred(_: &Fixture) -> Result<()> {
    let on = &Fixture::with("many", "2048")?;
    let begun = Instant::now();
    std::thread::scope(|scope| -> Result<()> {
        let starters: Vec<_> = (0..4)
            .map(|starter| {
                scope.spawn(move || -> Result<()> {
                    for number in (starter..RUNNING).step_by(4) {
                        let name = format!("c{number}");
                        on.text(&["run", "-d", "--name", &name, "busybox", "sleep", "100000"])?;
                    }
                    Ok(())
                })
            })
            .collect();
        starters
            .into_iter()
            .try_for_each(|starter| starter.join().unwrap_or_else(|_| bail!("a starter panicked")))
    })?;
    let listed = on.text(&["ps", "-q"])?;
    ensure!(listed.lines().count() == RUNNING, "{}", listed.lines().count());
    ensure!(on.text(&["exec", "c199", "echo", "here"])? == "here");
    let alive = on.machine.ssh(["ps -o args | grep -c '^sleep 100000'"]).run()?.text()?;
    ensure!(alive == RUNNING.to_string(), "{alive} run after {:?}", begun.elapsed());
    Ok(())
}
