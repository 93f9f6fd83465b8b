//! `machine clone`: a second machine with a copy of the disk.

use machine_lifecycle::MachineName;

use super::{DONE, Outcome, names, start};
use crate::{Context, clients};

/// Make a copy of a machine, with keys and ports of its own
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine to copy; a running one is copied as it is at one moment
    from: String,

    /// The name of the copy
    to: String,

    /// Start the copy
    #[arg(long)]
    start: bool,

    #[command(flatten)]
    boot: start::Boot,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let to: MachineName = args.to.parse()?;
    let from = names::existing(&args.from, context)?;
    let progress = context.ui.progress(to.as_str());
    context.machines.clone_machine(&from, &to, &progress).await?;
    clients::sync(context);
    if args.start {
        progress.announce(&format!("Starting \"{to}\"..."));
        context.machines.start(&to, args.boot.options(), &progress).await?;
    }
    drop(progress);
    context.ui.result(&format!("Machine \"{from}\" was cloned as \"{to}\"."));
    DONE
}
