//! What `docker events` tells.

use anyhow::{Result, ensure};
use machine_e2e::{Check, Run};

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] =
    &[("a_containers_life_is_told_in_order", order), ("filters_choose", filters)];

/// A moment after everything that has happened: the guest's clock is allowed to be a little off.
fn soon() -> Result<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok((now.as_secs() + 2).to_string())
}

fn order(on: &Fixture) -> Result<()> {
    on.docker(["run", "--rm", "--name", "told", "busybox", "sh", "-c", "exit 4"]).run()?.code(4)?;
    let until = soon()?;
    let format = "{{.Type}} {{.Action}} {{.Actor.Attributes.exitCode}}";
    let words = [
        "events",
        "--since",
        "5m",
        "--until",
        &until,
        "--filter",
        "container=told",
        "--format",
        format,
    ];
    let seen = on.text(&words)?;
    let wanted = ["create", "attach", "start", "die 4", "destroy"];
    let mut lines = seen.lines();
    for step in wanted {
        ensure!(
            lines.any(|line| line.starts_with(&format!("container {step}"))),
            "{step} in: {seen}"
        );
    }
    Ok(())
}

fn filters(on: &Fixture) -> Result<()> {
    on.text(&["tag", "busybox", "event:1"])?;
    on.text(&["rmi", "event:1"])?;
    let until = soon()?;
    let format = "{{.Type}} {{.Action}}";
    let seen = on.text(&[
        "events",
        "--since",
        "1m",
        "--until",
        &until,
        "--filter",
        "type=image",
        "--format",
        format,
    ])?;
    ensure!(seen.lines().all(|line| line.starts_with("image ")), "{seen}");
    ensure!(seen.contains("image tag") && seen.contains("image untag"), "{seen}");
    Ok(())
}
