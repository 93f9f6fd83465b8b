//! `machine restart`: stop, if it runs, and start.

use std::time::Duration;

use machine_lifecycle::MachineName;
use machine_lifecycle::driver::Progress as _;

use super::{Outcome, names, start};
use crate::Context;
use crate::error::CommandError;

/// Restart machines
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    names: Vec<String>,

    #[command(flatten)]
    boot: start::Boot,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let names = names::several(&args.names, context)?;
    names::each(&names, context, |name| restart(name, &args.boot, context)).await
}

async fn restart(
    name: MachineName,
    boot: &start::Boot,
    context: &Context,
) -> Result<Option<String>, CommandError> {
    let progress = context.ui.progress(name.as_str());
    progress.step(&format!("Restarting \"{name}\"..."));
    context.machines.restart(&name, Duration::from_secs(boot.timeout), &progress).await?;
    Ok(Some(format!("Machine \"{name}\" was restarted.")))
}
