//! `machine console`: what the guest writes to its console, as it does.

use super::{DONE, Outcome, names};
use crate::Context;
use crate::console_log::{self, From, Until};

/// Printed before what comes.
const LINES: usize = 20;

/// Watch the console of a machine
///
/// Prints the last lines and then whatever comes, until the machine stops. It is for looking only:
/// the guest has no login there. Use ssh to log in, and logs for everything since the last boot.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machine [default: the one called default]
    name: Option<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let name = names::one(args.name.as_deref(), context)?;
    context.ui.note(&format!(
        "Console of \"{name}\": Ctrl-C ends this, not the machine. There is no login here; to log \
         in, run: {} ssh {name}",
        context.program()
    ));
    console_log::print(&name, From::LastLines(LINES), Until::Stopped, context).await?;
    context.ui.note(&format!("Machine \"{name}\" does not run."));
    DONE
}
