//! `machine version`: of this program, or of a machine's engine.

use std::time::Duration;

use super::{DONE, Outcome, names};
use crate::error::CommandError;
use crate::{Context, engine};

const LIMIT: Duration = Duration::from_secs(10);

/// Print the version of this program, or that of a machine's Docker engine
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    name: Option<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let Some(name) = &args.name else {
        let build = option_env!("MACHINE_BUILD").unwrap_or("unknown");
        let version = env!("CARGO_PKG_VERSION");
        context.ui.result(&format!("{} version {version}, build {build}", context.program()));
        return DONE;
    };
    let name = names::existing(name, context)?;
    let connection = context.machines.connect(&name).await?;
    let version = engine::version(&connection, LIMIT).await.map_err(|error| {
        CommandError::failed(format!("the engine of \"{name}\" did not tell its version"))
            .because(&error)
    })?;
    context.ui.result(&version);
    DONE
}
