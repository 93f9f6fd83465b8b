//! `machine active`: which machine this shell talks to.

use std::time::Duration;

use machine_lifecycle::{Listed, State};

use super::{DONE, Outcome};
use crate::Context;
use crate::error::{CommandError, Exit};

/// Print which machine docker talks to in this shell
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long to wait for a machine's answer
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,
}

/// Prompts of shells ask this again and again: a machine that hangs must not hold them up.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let none = || {
        CommandError::failed("No active host found")
            .hint(format!("choose one in this shell: eval \"$({} env NAME)\"", context.program()))
    };
    let host = context.variable("DOCKER_HOST").ok_or_else(none)?;
    let timeout = Duration::from_secs(args.timeout);
    let machines = context.machines.list(timeout, PATIENCE).await?;
    let is_it =
        |machine: &&Listed| machine.state == State::Running && machine.url.as_deref() == Some(host);
    if let Some(active) = machines.iter().find(is_it) {
        context.ui.result(&active.name);
        return DONE;
    }
    // Of one that is silent nobody knows.
    if machines.iter().any(|machine| machine.state == State::Timeout) {
        return Err(CommandError::new(Exit::Timeout, "Error getting active host: timeout")
            .hint("a machine does not answer: `machine ls` shows which; wait longer with -t"));
    }
    Err(none())
}
