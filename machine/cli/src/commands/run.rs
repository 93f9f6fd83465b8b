//! `machine run`: a machine made for one command, and gone after it.

use machine_lifecycle::driver::Progress as _;

use super::{Outcome, create, start};
use crate::ephemeral::Ephemeral;
use crate::error::{CommandError, Exit};
use crate::local_command::{self, Signals};
use crate::{Context, clients};

/// Run a local command with a machine made for it, which is removed afterwards
///
/// The command runs on this computer, with DOCKER_HOST and the other variables set to a new machine.
/// However it ends, the machine goes with all of its containers, images and volumes. Its status is
/// passed on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Remove the machine afterwards; this is always done
    #[arg(long)]
    rm: bool,

    #[command(flatten)]
    machine: create::MachineFlags,

    #[command(flatten)]
    boot: start::Boot,

    /// What to run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let spec = args.machine.spec(context)?;
    let mut signals = Signals::catch()?;
    let ephemeral = Ephemeral::begin(context)?;
    let progress = context.ui.progress(ephemeral.name.as_str());
    let created = tokio::select! {
        created = context.machines.create(&ephemeral.name, &spec, args.boot.options(), &progress) => {
            created.map_err(CommandError::of_create)
        }
        _ = signals.next() => Err(CommandError::new(Exit::Interrupted, "interrupted; nothing was left behind")),
    };
    let outcome = match created {
        Ok(_) => {
            progress.step("Docker is up and running!");
            drop(progress);
            used(args, &ephemeral, &mut signals, context).await
        }
        Err(error) => Err(error),
    };
    // Signals are still caught: the removal is not interrupted.
    match (ephemeral.remove(context).await, outcome) {
        (Ok(()), outcome) => outcome,
        (Err(error), Ok(0)) => Err(error),
        (Err(error), outcome) => {
            context.ui.failure(&error);
            outcome
        }
    }
}

async fn used(
    args: &Args,
    ephemeral: &Ephemeral,
    signals: &mut Signals,
    context: &Context,
) -> Outcome {
    let connection = clients::connect(&ephemeral.name, context).await?;
    let command = local_command::command(&args.command, &ephemeral.name, &connection);
    local_command::run(command, signals).await.or_else(|not_run| {
        context.ui.failure(&not_run.error);
        Ok(not_run.status)
    })
}
