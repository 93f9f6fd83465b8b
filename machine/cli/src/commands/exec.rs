//! `machine exec`: a local command that talks to a machine.

use super::{Outcome, names};
use crate::{Context, clients, local_command};

/// Run a local command with the environment of a machine
///
/// The command runs on this computer, with DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH and
/// DOCKER_MACHINE_NAME set. Its status is passed on; 127 means that there is no such command.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machine [default: the one called default]
    name: Option<String>,

    /// What to run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let name = names::one(args.name.as_deref(), context)?;
    let connection = clients::connect(&name, context).await?;
    let command = local_command::command(&args.command, &name, &connection);
    let not_run = local_command::become_it(command);
    context.ui.failure(&not_run.error);
    Ok(not_run.status)
}
