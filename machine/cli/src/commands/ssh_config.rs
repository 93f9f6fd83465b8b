//! `machine ssh-config`: how other SSH programs find machines.

use std::path::PathBuf;

use machine_clients::ssh_include::{self, Change};
use machine_clients::{Endpoint, ssh_config};

use super::{DONE, Outcome, names};
use crate::Context;
use crate::error::CommandError;
use crate::ssh::external;

/// Print the SSH configuration of machines
///
/// With --install, the user's SSH configuration includes that of all machines: from then on
/// "ssh NAME.machine" works, and so does everything that uses ssh.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// All machines, if none is named
    names: Vec<String>,

    /// Include it in ~/.ssh/config, with one line at its top
    #[arg(long, conflicts_with_all = ["uninstall", "names"])]
    install: bool,

    /// Take that line out again
    #[arg(long, conflicts_with = "names")]
    uninstall: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    // Also when it is only shown: it names files that must be there.
    let included = external::configuration(context)?;
    if args.install || args.uninstall {
        let config = users_configuration(context)?;
        let (change, what) = if args.install {
            (ssh_include::install(&config, &included), ["now includes", "includes already"])
        } else {
            (ssh_include::uninstall(&config, &included), ["no longer includes", "does not include"])
        };
        let [made, none] = what;
        let what = match change.map_err(|error| failed(&error))? {
            Change::Made => made,
            Change::None => none,
        };
        context.ui.result(&format!("{} {what} {}", config.display(), included.display()));
        return DONE;
    }
    let mut machines = external::endpoints(context.machines.store())?;
    if !args.names.is_empty() {
        machines = chosen(args, machines, context)?;
    }
    let text = ssh_config::text(&machines).map_err(|error| failed(&error))?;
    context.ui.result(text.trim_end());
    DONE
}

/// In the order in which they were named.
fn chosen(
    args: &Args,
    machines: Vec<Endpoint>,
    context: &Context,
) -> Result<Vec<Endpoint>, CommandError> {
    let wanted = names::several(&args.names, context)?;
    wanted
        .iter()
        .map(|name| {
            machines.iter().find(|machine| machine.name == name.as_str()).cloned().ok_or_else(
                || CommandError::failed(format!("machine \"{name}\" has no SSH server of ours")),
            )
        })
        .collect()
}

fn users_configuration(context: &Context) -> Result<PathBuf, CommandError> {
    let home = context.variable("HOME").map(PathBuf::from).or_else(dirs::home_dir);
    home.map(|home| home.join(".ssh/config")).ok_or_else(|| {
        CommandError::failed("there is no home directory").hint("set HOME, then try again")
    })
}

fn failed(error: &machine_clients::Error) -> CommandError {
    let failure = CommandError::failed(error.to_string());
    match std::error::Error::source(error) {
        Some(cause) => failure.because(cause),
        None => failure,
    }
}
