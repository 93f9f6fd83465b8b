//! What only a host that is well kept can do: machines that are frozen, copied, changed, many or
//! killed, and the programs that find them. One check at a time, because they stop the machine.

mod certificates;
mod change;
mod clients;
mod crowd;
mod freeze;
mod options;
mod resources;
mod signatures;
mod throwaway;

use std::process::ExitCode;

use anyhow::Result;
use machine_e2e::{Machine, Run, Suite, archive};

fn main() -> ExitCode {
    machine_e2e::main(1, || {
        let mut suite = Suite::new(create()?);
        suite.add("options", options::CHECKS);
        suite.add("signatures", signatures::CHECKS);
        suite.add("clients", clients::CHECKS);
        suite.add("certificates", certificates::CHECKS);
        suite.add("resources", resources::CHECKS);
        suite.add("freeze", freeze::CHECKS);
        suite.add("change", change::CHECKS);
        suite.add("throwaway", throwaway::CHECKS);
        suite.add("crowd", crowd::CHECKS);
        Ok(suite)
    })
}

fn create() -> Result<Machine> {
    let machine = Machine::create("dev", options::FLAGS)?;
    let root = archive::busybox_root()?;
    machine.docker(["import", "-c", "ENV PATH=/bin", "-", "busybox"]).run_with(&root)?.ok()?;
    Ok(machine)
}
