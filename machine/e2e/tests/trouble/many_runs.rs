//! Containers by the hundred: none is lost, and nothing stays of any.

use anyhow::{Context, Result, ensure};
use machine_e2e::api::{Api, Place};
use machine_e2e::{Check, Machine, Run, archive, leaks};

pub(crate) const CHECKS: &[Check<Machine>] = &[("of_many_runs_nothing_stays", many_runs)];

const RUNS: usize = 300;

/// What may differ by some although nothing leaks: threads come and go, a look at `/run` meets
/// what is being written.
const TOLERATED: u64 = 8;
/// The allocator keeps some; at half a KiB for each run this would fail.
const TOLERATED_KIB: u64 = 3 * 1024;

fn many_runs(on: &Machine) -> Result<()> {
    let config = serde_json::json!({ "Cmd": ["sh"], "Env": ["PATH=/bin"] });
    let image = archive::docker_archive("busybox:latest", config, &[archive::busybox_root()?])?;
    on.docker(["load"]).run_with(&image)?.ok()?;
    let mut api = Api::connect(&Place::Unix(on.directory().join("docker.sock")))?;
    let mut repeat = |times: usize| {
        (0..times).try_for_each(|run| api.whole_life().with_context(|| format!("run {run}")))
    };
    // Caches fill, threads come.
    repeat(50)?;
    let before = leaks::count(on)?;
    repeat(RUNS)?;
    let after = leaks::count(on)?;
    for (name, number) in &after {
        let tolerated = if name.starts_with("KiB") { TOLERATED_KIB } else { TOLERATED };
        ensure!(*number <= before[name] + tolerated, "{name}\nbefore {before:?}\nafter {after:?}");
    }
    Ok(())
}
