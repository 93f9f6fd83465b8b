//! Kills, power cuts and mistakes. One check at a time, because they stop the machine.

mod kills;
mod mistakes;
mod names;
mod survival;

use std::process::ExitCode;

use machine_e2e::{Machine, Suite};

fn main() -> ExitCode {
    machine_e2e::main(1, || {
        let mut suite = Suite::new(Machine::create("survivor", &[])?);
        suite.add("survival", survival::CHECKS);
        suite.add("mistakes", mistakes::CHECKS);
        suite.add("kills", kills::CHECKS);
        suite.add("names", names::CHECKS);
        Ok(suite)
    })
}
