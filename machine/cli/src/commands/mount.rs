//! `machine mount`: a directory of a machine seen on this computer.

use std::process::Command;

use super::{Outcome, names};
use crate::Context;
use crate::error::CommandError;
use crate::ssh::external;
use crate::ssh::location::{Location, local};

const NO_SSHFS: &str = "You must have a copy of the sshfs binary locally to use the mount feature";
const NO_FUSERMOUNT: &str =
    "You must have a copy of the fusermount binary locally to use the unmount option";
/// Root's files there are the user's here; a connection that broke is made anew; one that is dead
/// is noticed.
const OPTIONS: &str = "idmap=user,reconnect,ServerAliveInterval=15,ServerAliveCountMax=3";

/// Mount a directory of a machine with sshfs
///
/// Without a machine, the one called "default" is meant; without a mount point, the same path on
/// this computer.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Unmount instead
    #[arg(short, long)]
    unmount: bool,

    #[arg(value_names = ["[MACHINE:]PATH", "MOUNTPOINT"], num_args = 0..)]
    places: Vec<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let (from, mountpoint) = match args.places.as_slice() {
        [from] => (from, None),
        [from, mountpoint] => (from, Some(mountpoint)),
        _ => {
            return Err(CommandError::usage("Improper number of arguments")
                .hint("machine mount [-u] [MACHINE:]PATH [MOUNTPOINT]"));
        }
    };
    if args.unmount {
        return unmount(from, mountpoint.map(String::as_str), context).await;
    }
    let sshfs = external::find("sshfs", NO_SSHFS, context)?;
    let mut from = Location::parse(from, context)?;
    let machine = match from.machine.take() {
        Some(machine) => machine,
        None => names::one(None, context)?,
    };
    context.machines.require_running(&machine).await?;
    let mountpoint = local(mountpoint.unwrap_or(&from.path));
    from.machine = Some(machine);
    let mut command = external::command(&sshfs, context)?;
    command.args(["-o", OPTIONS]).arg(from.for_ssh()).arg(mountpoint);
    external::run(command, context).await
}

/// The machine need not exist any more.
async fn unmount(from: &str, mountpoint: Option<&str>, context: &Context) -> Outcome {
    let path = match mountpoint {
        Some(mountpoint) => mountpoint.to_owned(),
        None => from.split_once(':').map_or(from, |(_, path)| path).to_owned(),
    };
    let command = if cfg!(target_os = "macos") {
        let mut command = Command::new("umount");
        command.arg(local(&path));
        command
    } else {
        let program = external::find("fusermount3", NO_FUSERMOUNT, context)
            .or_else(|_| external::find("fusermount", NO_FUSERMOUNT, context))?;
        let mut command = Command::new(program);
        command.arg("-u").arg(local(&path));
        command
    };
    external::run(command, context).await
}
