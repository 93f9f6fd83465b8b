//! `machine scp`: files between machines and this computer.

use machine_lifecycle::MachineName;

use super::Outcome;
use crate::error::CommandError;
use crate::ssh::external;
use crate::ssh::location::Location;
use crate::{Context, ssh};

const NO_SCP: &str = "You must have a copy of the scp binary locally to use the scp feature";
const NO_RSYNC: &str = "You must have a copy of the rsync binary locally to use the --delta option";

/// Copy files between machines and this computer
///
/// SOURCE and DESTINATION are [[USER@]MACHINE:]PATH; the machine "localhost" is this computer.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Copy directories with all that is in them
    #[arg(short, long)]
    recursive: bool,

    /// Send only what has changed, with rsync
    #[arg(short, long)]
    delta: bool,

    /// No progress
    #[arg(short, long)]
    quiet: bool,

    #[arg(value_names = ["SOURCE", "DESTINATION"])]
    places: Vec<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let [from, to] = args.places.as_slice() else {
        return Err(CommandError::usage("Improper number of arguments")
            .hint("machine scp [-r] [-d] [-q] [MACHINE:]PATH [MACHINE:]PATH"));
    };
    let (program, missing) = if args.delta { ("rsync", NO_RSYNC) } else { ("scp", NO_SCP) };
    let program = external::find(program, missing, context)?;
    let (from, to) = (Location::parse(from, context)?, Location::parse(to, context)?);
    for machine in [&from.machine, &to.machine].into_iter().flatten() {
        context.machines.require_running(machine).await?;
    }
    let command = if args.delta {
        for machine in [&from.machine, &to.machine].into_iter().flatten() {
            require_rsync(machine, context).await?;
        }
        let mut command = std::process::Command::new(program);
        command.arg("-e").arg(shell_for_rsync(context)?);
        if !args.quiet {
            command.arg("--progress");
        }
        command
    } else {
        let mut command = external::command(&program, context)?;
        // Between two machines through this computer, by the protocol that guests speak.
        command.args(["-3", "-s"]);
        if args.quiet {
            command.arg("-q");
        }
        command
    };
    let mut command = command;
    if args.recursive {
        command.arg("-r");
    }
    command.arg("--").arg(from.for_ssh()).arg(to.for_ssh());
    external::run(command, context).await
}

/// rsync splits this at blanks and understands quotes.
fn shell_for_rsync(context: &Context) -> Result<String, CommandError> {
    let file = external::configuration(context)?;
    let file = file.to_string_lossy();
    Ok(format!("ssh -F '{}'", file.replace('\'', "''")))
}

/// rsync needs itself at the other end, and says so in a way that few understand.
async fn require_rsync(machine: &MachineName, context: &Context) -> Result<(), CommandError> {
    let target = context.machines.ssh(machine).await?;
    let what = ssh::What::Command("command -v rsync >/dev/null".to_owned());
    if ssh::run(&target, what, &context.ui).await? == 0 {
        return Ok(());
    }
    Err(CommandError::failed(format!("there is no rsync in machine \"{machine}\""))
        .hint("leave out --delta: everything is copied then"))
}
