//! `machine rename`: a stopped machine gets another name.

use machine_lifecycle::MachineName;

use super::{DONE, Outcome, names};
use crate::{Context, autostart, clients};

/// Give a stopped machine another name
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machine
    from: String,

    /// What it is called from now on
    to: String,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let to: MachineName = args.to.parse()?;
    let from = names::existing(&args.from, context)?;
    context.machines.rename(&from, &to).await?;
    clients::sync(context);
    if let Err(error) = autostart::rename(&from, &to, context) {
        context.ui.note(&format!(
            "warning: \"{to}\" is not started automatically as \"{from}\" was: {}",
            error.message
        ));
    }
    context.ui.result(&format!("Machine \"{from}\" is now called \"{to}\"."));
    DONE
}
