//! `machine logs`: what the guest wrote to its console.

use super::{DONE, Outcome, names};
use crate::Context;
use crate::console_log::{self, From, Until};

/// Print the console of a machine
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    name: Option<String>,

    /// Go on printing until the machine stops
    #[arg(short, long)]
    follow: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let name = names::one(args.name.as_deref(), context)?;
    let until = if args.follow { Until::Stopped } else { Until::Now };
    console_log::print(&name, From::Beginning, until, context).await?;
    DONE
}
