//! `machine url`: where a machine's Docker API is.

use super::{DONE, Outcome, names};
use crate::Context;

/// Print the URL of a machine's Docker API
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machine [default: the one called default]
    name: Option<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let name = names::one(args.name.as_deref(), context)?;
    context.machines.require_running(&name).await?;
    context.ui.result(&context.machines.address(&name)?.url);
    DONE
}
