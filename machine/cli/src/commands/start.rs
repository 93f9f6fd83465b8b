//! `machine start`: from stopped to an API that answers.

use std::time::Duration;

use machine_lifecycle::driver::Started;
use machine_lifecycle::{MachineName, Outcome as Did, StartOptions};

use super::{Outcome, names};
use crate::error::{CommandError, Exit};
use crate::{Context, clients};

/// Start machines, and wait until Docker answers
///
/// A machine that was suspended goes on where it was.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machines [default: the one called default]
    names: Vec<String>,

    /// Of a suspended machine: forget its memory and boot, as after a power cut
    #[arg(long)]
    discard_state: bool,

    #[command(flatten)]
    boot: Boot,
}

/// How a machine is booted.
#[derive(Debug, clap::Args)]
pub(crate) struct Boot {
    /// How long each phase of a start may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,

    /// Print how many milliseconds which step took, as JSON
    #[arg(long, hide = true)]
    pub(crate) timings: bool,
}

impl Boot {
    pub(crate) fn options(&self) -> StartOptions {
        StartOptions {
            timeout: Duration::from_secs(self.timeout),
            discard_state: false,
            keep_failed: false,
        }
    }
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let names = names::several(&args.names, context)?;
    let outcome = names::each(&names, context, |name| start(name, args, context)).await;
    clients::sync(context);
    if outcome.is_ok() && !args.boot.timings {
        re_run_env("Started", context);
    }
    outcome
}

async fn start(
    name: MachineName,
    args: &Args,
    context: &Context,
) -> Result<Option<String>, CommandError> {
    let progress = context.ui.progress(name.as_str());
    progress.announce(&format!("Starting \"{name}\"..."));
    let options = StartOptions { discard_state: args.discard_state, ..args.boot.options() };
    match context.machines.start(&name, options, &progress).await? {
        Did::Done(started) if args.boot.timings => Ok(Some(timings(&started))),
        Did::Done(_) => Ok(Some(format!("Machine \"{name}\" was started."))),
        Did::AlreadyDone => Err(already(&name, "running")),
    }
}

/// As docker-machine says it. Our addresses stay; those of a Docker host elsewhere may not.
pub(crate) fn re_run_env(what: &str, context: &Context) {
    context.ui.announce(&format!(
        "{what} machines may have new IP addresses. You may need to re-run the `{} env` command.",
        context.program()
    ));
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
