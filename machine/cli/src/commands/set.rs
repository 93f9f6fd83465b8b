//! `machine set`: other sizes for a machine.

use machine_lifecycle::{Change, Changed, MachineName, Size};

use super::{DONE, Outcome, names};
use crate::Context;
use crate::error::CommandError;

/// Change the CPUs, the memory or the disk of a machine
///
/// A larger disk is there at once, also in a running machine. CPUs and memory apply at the next
/// start.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machine [default: the one called default]
    name: Option<String>,

    /// Number of CPUs
    #[arg(long, alias = "cpu-count", value_name = "N")]
    cpus: Option<u32>,

    /// Memory, like 2048, 512MB or 2GB
    #[arg(long, value_name = "SIZE")]
    memory: Option<Size>,

    /// Most that the disk may grow to, like 40000, 40000MB or 40GB; never less than now
    #[arg(long, alias = "disk-size", value_name = "SIZE")]
    disk: Option<Size>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let change = Change {
        cpus: args.cpus,
        memory_mib: args.memory.map(|size| size.0),
        disk_size_mib: args.disk.map(|size| size.0),
    };
    if change == Change::default() {
        return Err(CommandError::usage("nothing to change was given")
            .hint("give one or more of --cpus, --memory and --disk"));
    }
    let name = names::one(args.name.as_deref(), context)?;
    let changed = context.machines.set(&name, &change).await?;
    report(&name, changed, context);
    DONE
}

/// What a change has done by now.
pub(crate) fn report(name: &MachineName, changed: Changed, context: &Context) {
    context.ui.result(&format!("Machine \"{name}\" was changed."));
    if changed.disk_grown {
        context.ui.result("Its disk has grown.");
    }
    if changed.at_next_start {
        context.ui.result(&format!(
            "The rest applies at the next start: {} restart {name}",
            context.program()
        ));
    }
}
