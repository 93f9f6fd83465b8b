//! `machine rm`: ends machines for good.

use machine_lifecycle::{Force, MachineName};

use super::{Outcome, names};
use crate::error::{CommandError, Manner};
use crate::{Context, arguments, autostart, clients};

/// Remove machines with everything in them: containers, images, volumes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  machine rm dev          asks before
  machine rm -y a b       does not ask
  machine rm -f --all     removes every machine, also what cannot be ended properly")]
pub(crate) struct Args {
    /// Which machines
    names: Vec<String>,

    /// Every machine there is
    #[arg(long, conflicts_with = "names")]
    all: bool,

    /// Remove files even if the machine cannot be ended or does not exist; implies -y
    #[arg(short, long)]
    force: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let names = names(args, context)?;
    if names.is_empty() {
        return super::DONE;
    }
    if !args.force && !args.yes && !is_sure(&names, context) {
        return Err(CommandError::failed("nothing was removed")
            .hint("answer y, or give -y not to be asked"));
    }
    let force = if args.force { Force::Yes } else { Force::No };
    let outcome = names::each(&names, context, |name| remove(name, force, context)).await;
    clients::sync(context);
    outcome
}

fn names(args: &Args, context: &Context) -> Result<Vec<MachineName>, CommandError> {
    if args.all {
        let names = context.machines.names()?;
        if names.is_empty() {
            context.ui.announce("There are no machines.");
        }
        return Ok(names);
    }
    if args.names.is_empty() {
        if context.manner == Manner::DockerMachine {
            context.ui.result(&arguments::help(&context.arguments, Some("rm")));
        }
        return Err(CommandError::usage("Expected to get one or more machine names as arguments")
            .originally("Error: Expected to get one or more machine names as arguments")
            .hint(format!(
                "`{} ls` lists the machines; --all means every one",
                context.program()
            )));
    }
    if args.force {
        return Ok(what_exists(&args.names, context));
    }
    names::several(&args.names, context).map_err(|error| match args.names.as_slice() {
        [name] => error.originally_after(&format!("Error removing host {name:?}: ")),
        _ => error,
    })
}

async fn remove(
    name: MachineName,
    force: Force,
    context: &Context,
) -> Result<Option<String>, CommandError> {
    let progress = context.ui.progress(name.as_str());
    context.machines.remove(&name, force, &progress).await?;
    if let Err(error) = autostart::disable(&name, context).await {
        context.ui.note(&format!(
            "warning: \"{name}\" is still started automatically: {}",
            error.message
        ));
    }
    Ok(Some(format!("Successfully removed {name}")))
}

/// With force, what is gone already is as it should be.
fn what_exists(given: &[String], context: &Context) -> Vec<MachineName> {
    let mut existing: Vec<MachineName> = Vec::new();
    for name in given {
        match names::existing(name, context) {
            Ok(name) if existing.contains(&name) => {}
            Ok(name) => existing.push(name),
            Err(error) => context.ui.note(&match context.manner {
                Manner::Machine => format!("warning: {}", error.message),
                Manner::DockerMachine => {
                    let text = error.original.map_or(error.message, String::from);
                    let name = name.escape_debug();
                    format!("Error removing host \"{name}\": {text}\nCan't remove \"{name}\"")
                }
            }),
        }
    }
    existing
}

fn is_sure(names: &[MachineName], context: &Context) -> bool {
    let names: Vec<&str> = names.iter().map(MachineName::as_str).collect();
    let announce = |line: &str| context.ui.announce(line);
    announce(&format!("About to remove {}", names.join(", ")));
    announce("WARNING: This action will delete both local reference and remote instance.");
    let answer = context.ui.ask("Are you sure? (y/n): ");
    answer.is_some_and(|answer| answer.trim_start().starts_with(['y', 'Y']))
}
