//! Containers and images through real docker commands, on one machine.

mod crowd;
mod events;
mod exec;
mod files;
mod fixture;
mod health;
mod hostile;
mod images;
mod isolation;
mod life;
mod listener;
mod logs;
mod network;
mod observe;
mod old_client;
mod platforms;
mod pruning;
mod registries;
mod resources;
mod run;
mod system;
mod terminal;
mod unreliable;
mod volumes;

use std::process::ExitCode;

use machine_e2e::Suite;

fn main() -> ExitCode {
    machine_e2e::main(4, || {
        let mut suite = Suite::new(fixture::Fixture::new()?);
        suite.add("system", system::CHECKS);
        suite.add("images", images::CHECKS);
        suite.add("registries", registries::CHECKS);
        suite.add("unreliable", unreliable::CHECKS);
        suite.add("pruning", pruning::CHECKS);
        suite.add("platforms", platforms::CHECKS);
        suite.add("run", run::CHECKS);
        suite.add("isolation", isolation::CHECKS);
        suite.add("hostile", hostile::CHECKS);
        suite.add("resources", resources::CHECKS);
        suite.add("life", life::CHECKS);
        suite.add("logs", logs::CHECKS);
        suite.add("exec", exec::CHECKS);
        suite.add("terminal", terminal::CHECKS);
        suite.add("volumes", volumes::CHECKS);
        suite.add("files", files::CHECKS);
        suite.add("network", network::CHECKS);
        suite.add("events", events::CHECKS);
        suite.add("health", health::CHECKS);
        suite.add("observe", observe::CHECKS);
        suite.add("crowd", crowd::CHECKS);
        suite.add("old_client", old_client::CHECKS);
        Ok(suite)
    })
}
