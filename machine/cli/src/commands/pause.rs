//! `machine pause`: machines stand still.

use machine_lifecycle::{MachineName, Outcome as Did};

use super::start::already;
use super::{Outcome, names};
use crate::Context;
use crate::error::CommandError;

/// Let machines stand still; their memory stays
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machines [default: the one called default]
    names: Vec<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let names = names::several(&args.names, context)?;
    names::each(&names, context, |name| pause(name, context)).await
}

async fn pause(name: MachineName, context: &Context) -> Result<Option<String>, CommandError> {
    let progress = context.ui.progress(name.as_str());
    progress.announce(&format!("Pausing \"{name}\"..."));
    match context.machines.pause(&name).await? {
        Did::Done(()) => Ok(Some(format!("Machine \"{name}\" was paused."))),
        Did::AlreadyDone => Err(already(&name, "paused")),
    }
}
