//! The daemon killed in the middle of a pull.

use anyhow::{Result, ensure};
use machine_e2e::kept::Kept;
use machine_e2e::proxy::{Proxy, Reply};
use machine_e2e::registry::{Registry, tunnel};
use machine_e2e::{Check, Machine, Run, archive};
use serde_json::json;

use crate::engine_killed::kill;

pub(crate) const CHECKS: &[Check<Machine>] =
    &[("a_pull_that_was_killed_leaves_nothing_and_succeeds_again", killed)];

/// Enough for the blob to be under way, less than all of it.
const PASSED_ON: usize = 300_000;

fn killed(on: &Machine) -> Result<()> {
    let registry = Registry::open()?;
    let name = format!("{}/big:1", registry.host);
    let layer = archive::layer(&[("content", &archive::noise(4 * PASSED_ON)?)])?;
    registry.put_image("big", "1", &json!({}), &[layer])?;
    let before = Kept::on(on)?;

    let proxy = Proxy::before(&registry.host, |_| Reply::Hold(PASSED_ON))?;
    let way = tunnel(on, registry.port(), proxy.port)?;
    let mut pull = on.docker(["pull", &name]).spawn()?;
    proxy.holds()?;
    kill(on)?;
    pull.wait()?;
    drop(way);
    ensure!(on.docker(["images", "-q", &name]).run()?.text()?.is_empty(), "half an image");
    before.is_all(on)?;

    let _way = registry.reach(on)?;
    on.docker(["pull", &name]).run()?.ok()?;
    on.docker(["rmi", &name]).run()?.ok()?;
    before.is_all(on)
}
