//! `machine snapshot`: moments of a machine to go back to.

use std::time::Duration;

use jiff::Timestamp;
use machine_lifecycle::driver::Progress as _;
use machine_lifecycle::{MachineName, Snapshot};
use serde_json::{Value, json};

use super::{DONE, Outcome, names};
use crate::Context;
use crate::error::CommandError;
use crate::{size, table};

/// Save, restore, list and remove snapshots of a machine
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Take a snapshot: of a running machine with its memory, of a stopped one its disk
    Save {
        /// Which machine [default: the one called default]
        name: Option<String>,

        /// The snapshot's name [default: the time, like 20260102-150405]
        snapshot: Option<String>,
    },
    /// Make a machine what it was; what it does now is ended and lost
    Restore {
        /// Which machine
        name: String,

        /// What to go back to
        snapshot: String,

        /// How long a start may take
        #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
        timeout: u64,
    },
    /// List snapshots, oldest first
    Ls {
        /// Which machine [default: the one called default]
        name: Option<String>,

        /// How to print
        #[arg(short, long, value_name = "FORM", value_parser = ["table", "json", "yaml"], default_value = "table")]
        output: String,

        /// Print names only
        #[arg(short, long)]
        quiet: bool,
    },
    /// Remove snapshots
    Rm {
        /// Which machine
        name: String,

        /// Which snapshots
        #[arg(required = true, value_name = "SNAPSHOT")]
        snapshots: Vec<String>,
    },
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    match &args.action {
        Action::Save { name, snapshot } => {
            let name = names::one(name.as_deref(), context)?;
            let snapshot = snapshot.as_deref().map(str::parse::<MachineName>).transpose()?;
            save(&name, snapshot.as_ref(), context).await
        }
        Action::Restore { name, snapshot, timeout } => {
            let name = names::existing(name, context)?;
            restore(&name, &snapshot.parse()?, Duration::from_secs(*timeout), context).await
        }
        Action::Ls { name, output, quiet } => {
            let name = names::one(name.as_deref(), context)?;
            let snapshots = context.machines.snapshots(&name)?;
            let text = if *quiet { quietly(&snapshots) } else { printed(&snapshots, output)? };
            if !text.is_empty() {
                context.ui.result(&text);
            }
            DONE
        }
        Action::Rm { name, snapshots } => {
            let name = names::existing(name, context)?;
            for snapshot in snapshots {
                let snapshot: MachineName = snapshot.parse()?;
                context.machines.snapshot_remove(&name, &snapshot).await?;
                context.ui.result(&format!("Snapshot \"{snapshot}\" of \"{name}\" was removed."));
            }
            DONE
        }
    }
}

async fn save(name: &MachineName, snapshot: Option<&MachineName>, context: &Context) -> Outcome {
    let progress = context.ui.progress(name.as_str());
    progress.step("Taking a snapshot...");
    let taken = context.machines.snapshot_save(name, snapshot, &progress).await?;
    drop(progress);
    let what = if taken.with_memory { "with its memory" } else { "its disk" };
    context.ui.result(&format!(
        "Snapshot \"{}\" of \"{name}\" was saved ({what}, {}).",
        taken.name,
        size::of_bytes(taken.size)
    ));
    DONE
}

async fn restore(
    name: &MachineName,
    snapshot: &MachineName,
    timeout: Duration,
    context: &Context,
) -> Outcome {
    let progress = context.ui.progress(name.as_str());
    progress.step(&format!("Restoring snapshot \"{snapshot}\"..."));
    context.machines.snapshot_restore(name, snapshot, timeout, &progress).await?;
    drop(progress);
    context.ui.result(&format!("Machine \"{name}\" is what it was in snapshot \"{snapshot}\"."));
    DONE
}

fn quietly(snapshots: &[Snapshot]) -> String {
    snapshots.iter().map(|snapshot| snapshot.name.as_str()).collect::<Vec<_>>().join("\n")
}

fn printed(snapshots: &[Snapshot], form: &str) -> Result<String, CommandError> {
    let values = || Value::from(snapshots.iter().map(value).collect::<Vec<_>>());
    Ok(match form {
        "json" => format!("{:#}", values()),
        "yaml" => serde_yaml_ng::to_string(&values())
            .map_err(|error| CommandError::failed("no YAML could be made").because(&error))?
            .trim_end()
            .to_owned(),
        _ => {
            let mut rows = vec![["NAME", "CREATED", "MEMORY", "SIZE"].map(str::to_owned)];
            rows.extend(snapshots.iter().map(|snapshot| {
                [
                    snapshot.name.to_string(),
                    created(snapshot),
                    if snapshot.with_memory { "yes" } else { "no" }.to_owned(),
                    size::of_bytes(snapshot.size),
                ]
            }));
            table::render(&rows)
        }
    })
}

fn value(snapshot: &Snapshot) -> Value {
    json!({
        "Name": snapshot.name.as_str(),
        "Created": created(snapshot),
        "WithMemory": snapshot.with_memory,
        "Size": snapshot.size,
    })
}

/// To the second, in UTC.
fn created(snapshot: &Snapshot) -> String {
    Timestamp::try_from(snapshot.created)
        .map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}
