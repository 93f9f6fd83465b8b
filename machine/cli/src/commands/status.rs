//! `machine status`: one word.

use super::{DONE, Outcome, names};
use crate::Context;

/// Print the state of a machine in one word
///
/// The word is Running, Paused, Saved, Stopped, Starting, Stopping, Error or Timeout.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machine [default: the one called default]
    name: Option<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let name = names::one(args.name.as_deref(), context)?;
    context.ui.result(&context.machines.status(&name).await?.to_string());
    DONE
}
