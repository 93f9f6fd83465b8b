//! The process that removes the machine of a `machine run` that was killed.

use machine_lifecycle::MachineName;

use super::{DONE, Outcome};
use crate::error::CommandError;
use crate::{Context, ephemeral};

/// Remove the machine of a `run` that is gone (started by `run`)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine
    name: String,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let name: MachineName = args.name.parse()?;
    // What ends the terminal or the other command's group must not end this.
    let _apart_already = rustix::process::setsid();
    ephemeral::wait_for_end(&name, context)
        .map_err(|error| CommandError::failed("the command cannot be watched").because(&error))?;
    ephemeral::sweep(context).await;
    DONE
}
