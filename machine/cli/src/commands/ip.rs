//! `machine ip`: the address on which machines are reached.

use super::{Outcome, names};
use crate::Context;

/// Print the addresses of machines, one a line
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machines [default: the one called default]
    names: Vec<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let names = names::several(&args.names, context)?;
    names::each(&names, context, |name| async move {
        context.machines.require_running(&name).await?;
        let host = context.machines.address(&name)?.host;
        Ok(Some(host.trim_matches(['[', ']']).to_owned()))
    })
    .await
}
