//! What containers said.

use anyhow::{Result, ensure};

use super::Check;
use super::life::Sleeper;
use crate::engine::Engine;

pub(super) const CHECKS: &[Check] = &[
    Check::new("both_streams_are_kept_apart_and_in_order", streams),
    Check::new("tail_since_until_and_timestamps_select", selection),
    Check::new("a_line_without_an_end_and_a_very_long_one_are_whole", odd_lines),
    Check::new("details_show_labels_and_environment", details),
    Check::new("follow_ends_with_the_container", follow),
    Check::new("a_container_without_a_log_says_so", none),
    Check::new("rotation_keeps_what_it_should", rotation),
];

/// Runs a script to its end, and removes the container after `then`.
fn ended<T>(
    engine: &Engine,
    name: &str,
    flags: &[&str],
    script: &str,
    then: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let run = ["run", "--detach", "--name", name];
    engine.text(&[&run, flags, &["busybox", "sh", "-c", script]].concat())?;
    engine.text(&["wait", name])?;
    let result = then();
    engine.text(&["rm", name])?;
    result
}

fn streams(engine: &Engine) -> Result<()> {
    ended(engine, "logs-streams", &[], "echo 1; echo e >&2; echo 2", || {
        let said = engine.run(&["logs", "logs-streams"])?;
        ensure!(said.stdout == "1\n2\n" && said.stderr == "e\n", "{said:?}");
        Ok(())
    })
}

fn selection(engine: &Engine) -> Result<()> {
    ended(engine, "logs-select", &[], "seq 5", || {
        let logs = |flags: &[&str]| engine.text(&[&["logs"], flags, &["logs-select"]].concat());
        ensure!(logs(&["--tail", "2"])? == "4\n5");
        ensure!(logs(&["--tail", "0"])?.is_empty());
        ensure!(logs(&["--since", "2001-01-01", "--tail", "all"])? == "1\n2\n3\n4\n5");
        ensure!(logs(&["--until", "2001-01-01"])?.is_empty());
        let stamped = logs(&["--timestamps", "--tail", "1"])?;
        let (time, line) = stamped.split_once(' ').unwrap_or_default();
        ensure!(time.len() == 30 && time.ends_with('Z') && line == "5", "{stamped}");
        ensure!(logs(&["--since", time])?.ends_with('5'));
        Ok(())
    })
}

fn odd_lines(engine: &Engine) -> Result<()> {
    let script = "head -c 40000 /dev/zero | tr '\\0' x; echo; printf end";
    ended(engine, "logs-odd", &[], script, || {
        let said = engine.run(&["logs", "logs-odd"])?.stdout;
        ensure!(said == format!("{}\nend", "x".repeat(40_000)), "{} bytes", said.len());
        Ok(())
    })
}

fn details(engine: &Engine) -> Result<()> {
    let flags = ["--log-opt", "labels=of", "--log-opt", "env=A", "-l", "of=me", "-e", "A=1"];
    ended(engine, "logs-details", &flags, "echo hi", || {
        let said = engine.text(&["logs", "--details", "logs-details"])?;
        ensure!(said == "A=1,of=me hi", "{said}");
        Ok(())
    })
}

fn follow(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::run(engine, "logs-follow", &[], "seq 3; sleep 0.5; seq 4 6")?;
    ensure!(engine.text(&["logs", "--follow", &sleeper.name])? == "1\n2\n3\n4\n5\n6");
    Ok(())
}

fn none(engine: &Engine) -> Result<()> {
    ended(engine, "logs-none", &["--log-driver", "none"], "echo hi", || {
        engine
            .run(&["logs", "logs-none"])?
            .fails(1, "configured logging driver does not support reading")
    })
}

fn rotation(engine: &Engine) -> Result<()> {
    // A file may grow beyond its limit by as much as a pipe holds.
    let flags = ["--log-opt", "max-size=64k", "--log-opt", "max-file=3"];
    ended(engine, "logs-rotation", &flags, "seq 100000", || {
        let said = engine.text(&["logs", "logs-rotation"])?;
        let lines: Vec<&str> = said.lines().collect();
        ensure!(lines.last() == Some(&"100000"), "it ends with {:?}", lines.last());
        ensure!((100..60_000).contains(&lines.len()), "{} lines", lines.len());
        let tail = engine.text(&["logs", "--tail", "60", "logs-rotation"])?;
        ensure!(tail.lines().next() == Some("99941"), "{tail}");
        Ok(())
    })
}
