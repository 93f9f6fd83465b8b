//! `machine create`: a new machine that runs, or nothing.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use machine_lifecycle::driver::Progress as _;
use machine_lifecycle::{MachineConfig, MachineName, MachineSpec, StartOptions};
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use super::machine_flags::MachineFlags;
use super::{DONE, Outcome, start};
use crate::error::{CommandError, Exit, Manner};
use crate::{Context, arguments, clients};

/// A longer file is none that a person wrote.
const FILE_LIMIT: u64 = 64 * 1024;

/// Create a machine and start it
///
/// It gets an address, certificates and SSH keys of its own. If anything fails, nothing is left.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  machine create dev                          with 2 CPUs and 1 GB of memory
  machine create --cpu-count 4 --memory 4GB --disk-size 60GB big
  machine create --engine-registry-mirror https://mirror.example dev
  machine create --driver none --url tcp://docker.example:2376 remote
  eval \"$(machine env dev)\"                    then use docker as usual")]
pub(crate) struct Args {
    /// The machine's name, of letters, digits, dots and dashes
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// A file that says what the machine is like, in YAML; flags win over it (- for stdin)
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    #[command(flatten)]
    machine: MachineFlags,

    #[command(flatten)]
    boot: start::Boot,

    /// Keep what was made when it fails, to look at it; `machine rm` removes it
    #[arg(long)]
    keep_failed: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let (name, spec) = wanted(args, context)?;
    let options = StartOptions { keep_failed: args.keep_failed, ..args.boot.options() };
    let progress = context.ui.progress(name.as_str());
    let interrupted = interruption()?;
    let created = tokio::select! {
        created = context.machines.create(&name, &spec, options, &progress) => Some(created),
        () = interrupted => None,
    };
    let Some(created) = created else {
        progress.step("Interrupted, removing what was made...");
        context.machines.abandon(&name).await?;
        return Err(CommandError::new(Exit::Interrupted, "interrupted; nothing was left behind"));
    };
    let created = created.map_err(CommandError::of_create)?;
    progress.step("Docker is up and running!");
    drop(progress);
    clients::sync(context);
    if args.boot.timings {
        context.ui.result(&start::timings(&created.started));
    } else {
        context.ui.result(&format!(
            "To see how to connect your Docker Client to the Docker Engine running on this \
             virtual machine, run: {} env {name}",
            context.program()
        ));
    }
    DONE
}

/// What is to be made: as the flags say, or the file, or as usual.
fn wanted(args: &Args, context: &Context) -> Result<(MachineName, MachineSpec), CommandError> {
    let Some(path) = &args.file else {
        return Ok((name(&args.names, context)?, args.machine.spec(context)?));
    };
    let unusable = |cause: &(dyn std::error::Error + 'static)| {
        CommandError::usage(format!("{} cannot be used", path.display()))
            .because(cause)
            .hint("`machine show NAME` prints such a file of a machine that there is")
    };
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin().take(FILE_LIMIT)).map_err(|e| unusable(&e))?
    } else {
        machine_store::atomic::read(path, FILE_LIMIT).map_err(|error| unusable(&error))?
    };
    let file = MachineConfig::from_yaml(&text).map_err(|error| unusable(&error))?;
    let name = match (&file.name, args.names.as_slice()) {
        (Some(written), []) => written.parse().map_err(CommandError::of_create)?,
        (_, given) => name(given, context)?,
    };
    Ok((name, args.machine.spec_with(&file, context)?))
}

fn name(names: &[String], context: &Context) -> Result<MachineName, CommandError> {
    match names {
        [name] => name.parse().map_err(CommandError::of_create),
        [] => {
            if context.manner == Manner::DockerMachine {
                context.ui.result(&arguments::help(&context.arguments, Some("create")));
            }
            Err(CommandError::usage("No machine name specified")
                .originally("Error: No machine name specified")
                .hint(format!("for example: {} create dev", context.program())))
        }
        [_, extra @ ..] => Err(CommandError::usage(format!(
            "Invalid command line. Found extra arguments [{}]",
            extra.join(" ")
        ))
        .hint("one machine is created at a time")),
    }
}

/// Ends when the user or the system wants the command to end.
pub(crate) fn interruption() -> Result<impl Future<Output = ()>, CommandError> {
    let listen = |kind| {
        signal(kind)
            .map_err(|error| CommandError::failed("signals cannot be received").because(&error))
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
