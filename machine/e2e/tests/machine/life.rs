//! What commands say about machines that are not as they need them.

use anyhow::{Result, ensure};
use machine_e2e::{Check, Machine, Run};

pub(crate) const CHECKS: &[Check<Machine>] =
    &[("an_unknown_machine_is_named", unknown), ("a_running_machine_is_not_started", running)];

fn unknown(on: &Machine) -> Result<()> {
    for command in ["start", "stop", "kill", "env", "ssh", "url", "ip", "status", "inspect", "logs"]
    {
        let asked = on.host.machine().args([command, "nope"]).run()?;
        ensure!(asked.code == 4, "{asked}");
        asked.says("\"nope\" does not exist")?;
    }
    Ok(())
}

fn running(on: &Machine) -> Result<()> {
    let again = on.host.machine().args(["start", "dev"]).run()?;
    ensure!(again.code == 5, "{again}");
    again.says("already running").map(drop)
}
