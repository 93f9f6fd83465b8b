//! `machine autostart`: whether a machine starts by itself.

use machine_lifecycle::MachineName;

use super::{DONE, Outcome, names};
use crate::Context;
use crate::autostart::{self, When};
use crate::error::CommandError;

/// Start a machine at login or at boot
///
/// On Linux this is a unit of the user's systemd, on macOS an agent of launchd.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to do
    action: Action,

    /// Which machines [default: the one called default]
    names: Vec<String>,

    /// Start when the computer does, before anybody logs in (Linux)
    #[arg(long)]
    boot: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Action {
    /// Start it from now on
    On,
    /// Do not start it any more
    Off,
    /// Print off, login or boot
    Status,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    if args.boot && args.action != Action::On {
        return Err(CommandError::usage("--boot goes with `autostart on` only"));
    }
    for name in names::several(&args.names, context)? {
        match args.action {
            Action::On => on(&name, args.boot, context).await?,
            Action::Off => off(&name, context).await?,
            Action::Status => status(&name, context)?,
        }
    }
    DONE
}

async fn on(name: &MachineName, boot: bool, context: &Context) -> Result<(), CommandError> {
    let notes = autostart::enable(name, boot, context).await?;
    let when = match autostart::status(name, context)? {
        When::AtBoot => "this computer starts",
        When::AtLogin | When::Never => "you log in",
    };
    context.ui.result(&format!("Machine \"{name}\" starts when {when}."));
    for note in notes {
        context.ui.note(&note);
    }
    Ok(())
}

async fn off(name: &MachineName, context: &Context) -> Result<(), CommandError> {
    let text = if autostart::disable(name, context).await? {
        format!("Machine \"{name}\" does not start by itself any more.")
    } else {
        format!("Machine \"{name}\" does not start by itself.")
    };
    context.ui.result(&text);
    Ok(())
}

fn status(name: &MachineName, context: &Context) -> Result<(), CommandError> {
    context.ui.result(match autostart::status(name, context)? {
        When::Never => "off",
        When::AtLogin => "login",
        When::AtBoot => "boot",
    });
    Ok(())
}
