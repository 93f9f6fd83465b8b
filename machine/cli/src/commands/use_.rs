//! `machine use`: which machine docker talks to when nothing else is said.

use machine_clients::{Error, Places, docker_context};

use super::{DONE, Outcome, names};
use crate::error::CommandError;
use crate::{Context, clients};

/// Make docker use a machine from now on, in every shell
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine
    name: Option<String>,

    /// Make docker use its own default again
    #[arg(long, conflicts_with = "name")]
    unset: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let places = clients::places(context).ok_or_else(|| {
        CommandError::failed("it is not known where docker keeps its settings")
            .hint("set HOME or DOCKER_CONFIG")
    })?;
    if args.unset {
        unset(&places, context)?;
    } else {
        let name = names::one(args.name.as_deref(), context)?;
        clients::sync(context);
        docker_context::use_machine(name.as_str(), &places).map_err(|error| failed(&error))?;
        let used = docker_context::context_name(name.as_str());
        context.ui.result(&format!("docker uses machine \"{name}\" now (context {used})."));
    }
    for variable in ["DOCKER_HOST", "DOCKER_CONTEXT"] {
        if context.variable(variable).is_some() {
            context.ui.note(&format!(
                "warning: {variable} is set, and docker goes by that instead; unset it"
            ));
        }
    }
    DONE
}

fn unset(places: &Places, context: &Context) -> Result<(), CommandError> {
    let changed = docker_context::use_built_in(places).map_err(|error| failed(&error))?;
    context.ui.result(if changed {
        "docker uses its own default now."
    } else {
        "docker used its own default already."
    });
    Ok(())
}

fn failed(error: &Error) -> CommandError {
    let failure = match std::error::Error::source(error) {
        Some(cause) => CommandError::failed(error.to_string()).because(cause),
        None => CommandError::failed(error.to_string()),
    };
    match error {
        Error::Foreign { name } => {
            failure.hint(format!("if it is not needed, remove it first: docker context rm {name}"))
        }
        _ => failure,
    }
}
