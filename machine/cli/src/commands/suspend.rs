//! `machine suspend`: the memory goes to disk, the VM ends.

use machine_lifecycle::{MachineName, Outcome as Did};

use super::start::already;
use super::{Outcome, names};
use crate::Context;
use crate::error::CommandError;

/// Write the memory of machines to disk and end them; start lets them go on
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machines [default: the one called default]
    names: Vec<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let names = names::several(&args.names, context)?;
    names::each(&names, context, |name| suspend(name, context)).await
}

async fn suspend(name: MachineName, context: &Context) -> Result<Option<String>, CommandError> {
    let progress = context.ui.progress(name.as_str());
    progress.announce(&format!("Suspending \"{name}\"..."));
    match context.machines.suspend(&name, &progress).await? {
        Did::Done(()) => Ok(Some(format!("Machine \"{name}\" was suspended."))),
        Did::AlreadyDone => Err(already(&name, "suspended")),
    }
}
