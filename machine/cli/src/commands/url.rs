//! `machine url`: where a machine's Docker API is.

use super::{DONE, Outcome, names};
use crate::Context;

/// Print the URL of a machine
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    name: Option<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let name = names::one(args.name.as_deref(), context)?;
    context.ui.result(&context.machines.connect(&name).await?.url);
    DONE
}
