//! `machine start`: from stopped to an API that answers.

use std::time::Duration;

use machine_lifecycle::driver::{Progress as _, Started};
use machine_lifecycle::{MachineName, Outcome as Did};

use super::{Outcome, names};
use crate::Context;
use crate::error::{CommandError, Exit};

/// Start machines
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    names: Vec<String>,

    #[command(flatten)]
    boot: Boot,
}

/// How a machine is booted.
#[derive(Debug, clap::Args)]
pub(crate) struct Boot {
    /// How long a start may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,

    /// Print how many milliseconds which step took, as JSON
    #[arg(long, hide = true)]
    pub(crate) timings: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let names = names::several(&args.names, context)?;
    names::each(&names, context, |name| start(name, &args.boot, context)).await
}

async fn start(
    name: MachineName,
    boot: &Boot,
    context: &Context,
) -> Result<Option<String>, CommandError> {
    let progress = context.ui.progress(name.as_str());
    progress.step(&format!("Starting \"{name}\"..."));
    let timeout = Duration::from_secs(boot.timeout);
    match context.machines.start(&name, timeout, &progress).await? {
        Did::Done(started) if boot.timings => Ok(Some(timings(&started))),
        Did::Done(_) => Ok(Some(format!("Machine \"{name}\" was started."))),
        Did::AlreadyDone => Err(already(&name, "running")),
    }
}

/// `{"acceleration": …, "milliseconds": {…}}` on one line, steps in their order.
pub(crate) fn timings(started: &Started) -> String {
    let steps: Vec<serde_json::Value> = started
        .timings
        .iter()
        .map(|(step, time)| {
            serde_json::json!({"step": step, "milliseconds": (time.as_secs_f64() * 1000.0)})
        })
        .collect();
    serde_json::json!({"acceleration": started.acceleration.to_string(), "timings": steps})
        .to_string()
}

/// As docker-machine says it; scripts look for it.
pub(crate) fn already(name: &MachineName, state: &str) -> CommandError {
    CommandError::new(Exit::WrongState, format!("Machine \"{name}\" is already {state}."))
}
