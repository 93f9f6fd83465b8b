//! `machine unpause`: paused machines go on.

use machine_lifecycle::{MachineName, Outcome as Did};

use super::start::already;
use super::{Outcome, names};
use crate::Context;
use crate::error::CommandError;

/// Let paused machines go on
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machines [default: the one called default]
    names: Vec<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let names = names::several(&args.names, context)?;
    names::each(&names, context, |name| unpause(name, context)).await
}

async fn unpause(name: MachineName, context: &Context) -> Result<Option<String>, CommandError> {
    let progress = context.ui.progress(name.as_str());
    progress.announce(&format!("Unpausing \"{name}\"..."));
    match context.machines.unpause(&name).await? {
        Did::Done(()) => Ok(Some(format!("Machine \"{name}\" was unpaused."))),
        Did::AlreadyDone => Err(already(&name, "running")),
    }
}
