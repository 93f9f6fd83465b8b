//! `machine status`: one word.

use super::{DONE, Outcome, names};
use crate::Context;

/// Print the status of a machine
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    name: Option<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let name = names::one(args.name.as_deref(), context)?;
    context.ui.result(&context.machines.status(&name).await?.to_string());
    DONE
}
