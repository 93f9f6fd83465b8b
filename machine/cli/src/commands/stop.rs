//! `machine stop`: the guest shuts down by itself.

use machine_lifecycle::{MachineName, Outcome as Did};

use super::start::already;
use super::{Outcome, names};
use crate::Context;
use crate::error::CommandError;

/// Stop machines: containers are asked to end, then the machine shuts down
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machines [default: the one called default]
    names: Vec<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let names = names::several(&args.names, context)?;
    names::each(&names, context, |name| stop(name, context)).await
}

async fn stop(name: MachineName, context: &Context) -> Result<Option<String>, CommandError> {
    let progress = context.ui.progress(name.as_str());
    progress.announce(&format!("Stopping \"{name}\"..."));
    match context.machines.stop(&name).await? {
        Did::Done(()) => Ok(Some(format!("Machine \"{name}\" was stopped."))),
        Did::AlreadyDone => Err(already(&name, "stopped")),
    }
}
