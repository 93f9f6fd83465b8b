//! `machine upgrade`: brings machines to the guest image of this version of the program.

use std::time::Duration;

use machine_lifecycle::MachineName;

use super::{Outcome, names};
use crate::error::CommandError;
use crate::{Context, clients};

/// Restart machines with the guest image of this version, if they run another one
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machines [default: the one called default]
    names: Vec<String>,

    /// How long each phase of the start may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let names = names::several(&args.names, context)?;
    let outcome = names::each(&names, context, |name| upgrade(name, args, context)).await;
    clients::sync(context);
    outcome
}

async fn upgrade(
    name: MachineName,
    args: &Args,
    context: &Context,
) -> Result<Option<String>, CommandError> {
    let progress = context.ui.progress(name.as_str());
    progress.announce(&format!("Upgrading \"{name}\"..."));
    let timeout = Duration::from_secs(args.timeout);
    let was_upgraded = context.machines.upgrade(&name, timeout, &progress).await?;
    Ok(Some(if was_upgraded {
        format!("Machine \"{name}\" was upgraded.")
    } else {
        format!("Machine \"{name}\" is up to date.")
    }))
}
