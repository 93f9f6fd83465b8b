//! `machine ip`: the address on which machines are reached.

use machine_lifecycle::ADDRESS;

use super::{Outcome, names};
use crate::Context;

/// Print the IP address of machines
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    names: Vec<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let names = names::several(&args.names, context)?;
    names::each(&names, context, |name| async move {
        context.machines.require_running(&name).await?;
        Ok(Some(ADDRESS.to_owned()))
    })
    .await
}
