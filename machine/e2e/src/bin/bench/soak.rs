//! Many runs of `true` in a row over one connection: none hangs, none is lost, nothing grows.

use std::time::Instant;

use anyhow::{Context, Result};
use machine_e2e::api::{Api, Place};
use machine_e2e::{Machine, Run};

use crate::{Table, busybox};

pub(crate) const RUNS: usize = 10_000;

pub(crate) fn soak(table: &mut Table, runs: usize) -> Result<()> {
    let machine = Machine::create("soaked", &["--memory", "1024"])?;
    machine.docker(["load"]).run_with(&busybox()?)?.ok()?;
    let place = Place::Unix(machine.directory().join("docker.sock"));
    let mut api = Api::connect(&place)?;
    // Caches fill, threads come.
    for run in 0..100.min(runs) {
        api.whole_life().with_context(|| format!("run {run}"))?;
    }
    let before = machine_e2e::leaks::count(&machine)?;
    let begun = Instant::now();
    let mut slowest = 0.0_f64;
    for run in 0..runs {
        let one = Instant::now();
        api.whole_life().with_context(|| format!("run {run}"))?;
        slowest = slowest.max(one.elapsed().as_secs_f64() * 1000.0);
    }
    let took = begun.elapsed().as_secs_f64();
    let after = machine_e2e::leaks::count(&machine)?;
    table.row(
        format!("{runs} runs of true over one connection"),
        format!(
            "{took:.0} s, {:.0} ms each, the slowest {slowest:.0} ms",
            took * 1000.0 / runs as f64
        ),
    );
    for (name, before) in &before {
        let after = after.get(name).copied().unwrap_or(0);
        table.row(format!("before and after: {name}"), format!("{before}, {after}"));
    }
    Ok(())
}
