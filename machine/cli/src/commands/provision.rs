//! `machine provision`: makes sure that machines are what they should be.

use std::time::Duration;

use machine_lifecycle::MachineName;

use super::{Outcome, names};
use crate::error::CommandError;
use crate::{Context, clients};

/// Make sure that running machines are what they should be
///
/// That is: certificates that are fresh, a supervisor, a disk of the right size, an API that answers.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machines [default: the one called default]
    names: Vec<String>,

    /// How long it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let names = names::several(&args.names, context)?;
    let outcome = names::each(&names, context, |name| provision(name, args, context)).await;
    clients::sync(context);
    outcome
}

async fn provision(
    name: MachineName,
    args: &Args,
    context: &Context,
) -> Result<Option<String>, CommandError> {
    let progress = context.ui.progress(name.as_str());
    progress.announce(&format!("Provisioning \"{name}\"..."));
    context.machines.provision(&name, Duration::from_secs(args.timeout), &progress).await?;
    Ok(Some(format!("Machine \"{name}\" was provisioned.")))
}
