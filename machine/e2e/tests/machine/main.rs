//! The `machine` command against a real machine.

mod connect;
mod life;
mod ssh;

use std::process::ExitCode;

use machine_e2e::{Machine, Suite};

fn main() -> ExitCode {
    machine_e2e::main(4, || {
        let mut suite = Suite::new(Machine::create("dev", &["--cpu-count", "1"])?);
        suite.add("connect", connect::CHECKS);
        suite.add("ssh", ssh::CHECKS);
        suite.add("life", life::CHECKS);
        Ok(suite)
    })
}
