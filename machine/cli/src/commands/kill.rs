//! `machine kill`: powers off hard.

use machine_lifecycle::{MachineName, Outcome as Did};

use super::start::already;
use super::{Outcome, names};
use crate::Context;
use crate::error::CommandError;

/// Power off machines without asking them, also those that hang
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machines [default: the one called default]
    names: Vec<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let names = names::several(&args.names, context)?;
    names::each(&names, context, |name| kill(name, context)).await
}

async fn kill(name: MachineName, context: &Context) -> Result<Option<String>, CommandError> {
    let progress = context.ui.progress(name.as_str());
    progress.announce(&format!("Killing \"{name}\"..."));
    match context.machines.kill(&name).await? {
        Did::Done(()) => Ok(Some(format!("Machine \"{name}\" was killed."))),
        Did::AlreadyDone => Err(already(&name, "stopped")),
    }
}
