//! `machine rm`: ends machines for good.

use machine_lifecycle::{Force, MachineName};

use super::{Outcome, names};
use crate::Context;
use crate::error::CommandError;

/// Remove machines
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(required = true)]
    names: Vec<String>,

    /// Remove files even if the machine cannot be ended or does not exist; implies -y
    #[arg(short, long)]
    force: bool,

    /// Do not ask
    #[arg(short)]
    yes: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let names = if args.force {
        what_exists(&args.names, context)
    } else {
        names::several(&args.names, context)?
    };
    if !args.force && !args.yes && !is_sure(&names, context) {
        return Err(CommandError::failed("nothing was removed")
            .hint("answer y, or give -y not to be asked"));
    }
    let force = if args.force { Force::Yes } else { Force::No };
    names::each(&names, context, |name| remove(name, force, context)).await
}

async fn remove(
    name: MachineName,
    force: Force,
    context: &Context,
) -> Result<Option<String>, CommandError> {
    let progress = context.ui.progress(name.as_str());
    context.machines.remove(&name, force, &progress).await?;
    Ok(Some(format!("Successfully removed {name}")))
}

/// With force, what is gone already is as it should be.
fn what_exists(given: &[String], context: &Context) -> Vec<MachineName> {
    let mut existing: Vec<MachineName> = Vec::new();
    for name in given {
        match names::existing(name, context) {
            Ok(name) if existing.contains(&name) => {}
            Ok(name) => existing.push(name),
            Err(error) => context.ui.note(&format!("warning: {}", error.message)),
        }
    }
    existing
}

fn is_sure(names: &[MachineName], context: &Context) -> bool {
    let names: Vec<&str> = names.iter().map(MachineName::as_str).collect();
    context.ui.note(&format!("About to remove {}", names.join(", ")));
    context.ui.note("WARNING: This action will delete both local reference and remote instance.");
    let answer = context.ui.ask("Are you sure? (y/n): ");
    answer.is_some_and(|answer| answer.trim_start().starts_with(['y', 'Y']))
}
