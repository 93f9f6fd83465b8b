//! Kills, power cuts and mistakes. One check at a time, because they stop the machine.

mod certificates;
mod engine_killed;
mod full_disk;
mod hostile_archives;
mod kills;
mod many_runs;
mod mistakes;
mod names;
mod power_cut;
mod pulls;
mod survival;

use std::process::ExitCode;

use machine_e2e::{Machine, Suite};

fn main() -> ExitCode {
    machine_e2e::main(1, || {
        let mut suite = Suite::new(Machine::create("survivor", &[])?);
        suite.add("survival", survival::CHECKS);
        suite.add("engine_killed", engine_killed::CHECKS);
        suite.add("hostile_archives", hostile_archives::CHECKS);
        suite.add("certificates", certificates::CHECKS);
        suite.add("full_disk", full_disk::CHECKS);
        suite.add("many_runs", many_runs::CHECKS);
        suite.add("power_cut", power_cut::CHECKS);
        suite.add("pulls", pulls::CHECKS);
        suite.add("mistakes", mistakes::CHECKS);
        suite.add("kills", kills::CHECKS);
        suite.add("names", names::CHECKS);
        Ok(suite)
    })
}
