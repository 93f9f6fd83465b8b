//! `machine restart`: stop, if it runs, and start.

use machine_lifecycle::MachineName;

use super::{Outcome, names, start};
use crate::error::CommandError;
use crate::{Context, clients};

/// Restart machines; one that is stopped is started
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machines [default: the one called default]
    names: Vec<String>,

    #[command(flatten)]
    boot: start::Boot,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let names = names::several(&args.names, context)?;
    let outcome = names::each(&names, context, |name| restart(name, &args.boot, context)).await;
    clients::sync(context);
    if outcome.is_ok() {
        start::re_run_env("Restarted", context);
    }
    outcome
}

async fn restart(
    name: MachineName,
    boot: &start::Boot,
    context: &Context,
) -> Result<Option<String>, CommandError> {
    let progress = context.ui.progress(name.as_str());
    progress.announce(&format!("Restarting \"{name}\"..."));
    context.machines.restart(&name, boot.options(), &progress).await?;
    Ok(Some(format!("Machine \"{name}\" was restarted.")))
}
