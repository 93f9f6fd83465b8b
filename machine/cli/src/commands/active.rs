//! `machine active`: which machine this shell talks to.

use std::time::Duration;

use machine_lifecycle::State;

use super::{DONE, Outcome};
use crate::Context;
use crate::error::CommandError;

/// Print which machine is active
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long to wait for a machine's answer
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let none = || {
        CommandError::failed("No active host found")
            .hint("choose one in this shell: eval \"$(machine env NAME)\"")
    };
    let host = context.variable("DOCKER_HOST").ok_or_else(none)?;
    let machines = context.machines.list(Duration::from_secs(args.timeout)).await?;
    let active = machines
        .iter()
        .find(|machine| machine.state == State::Running && machine.url.as_deref() == Some(host));
    context.ui.result(&active.ok_or_else(none)?.name);
    DONE
}
